"""What makes other maps of a trunk's maps."""
