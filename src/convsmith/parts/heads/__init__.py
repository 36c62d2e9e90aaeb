"""What turns the last map into an answer."""
