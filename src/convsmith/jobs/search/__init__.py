"""`search`: one supernet on the user's data, a finished network for each budget."""
