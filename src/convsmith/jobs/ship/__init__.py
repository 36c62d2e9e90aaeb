"""What leaves the house: exported files, eight bits, reports."""
