"""Many trainings side by side, and what they say together."""
