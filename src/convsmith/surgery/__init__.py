"""Normaliser surgery: another norm, or none, in a spec or in any live module."""

from .kinds import NORMS, NormName, wanted, word_of
from .live import Operation, operate
from .specs import restyled

__all__ = ["NORMS", "NormName", "Operation", "operate", "restyled", "wanted", "word_of"]
