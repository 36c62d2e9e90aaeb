"""Residual units, one file each."""
