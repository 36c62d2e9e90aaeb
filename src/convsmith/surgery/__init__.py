"""Normaliser surgery: another norm, or none, in a spec or in any live module."""

from .kinds import NORMS, NormName
from .live import Operation, operate
from .specs import restyled

__all__ = ["NORMS", "NormName", "Operation", "operate", "restyled"]
