"""What the image meets first."""
