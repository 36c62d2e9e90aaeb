"""Milliseconds: measured, foretold, and explained."""
