"""Weights in and out: files, timm, torchvision, hubs; read, renamed, fitted."""

from ..ledger import Numerics
from .files import read, write
from .fitting import Fitted, fitted, onto
from .maps import Dialect, to_timm
from .origins import Origin, obtain

__all__ = ["Dialect", "Fitted", "Numerics", "Origin", "fitted", "obtain", "onto", "read", "to_timm", "write"]
