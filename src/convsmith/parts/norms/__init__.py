"""Normalisation with its activation, as one part."""
