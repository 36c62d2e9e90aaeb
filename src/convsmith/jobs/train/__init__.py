"""One training, from its options to its report."""
