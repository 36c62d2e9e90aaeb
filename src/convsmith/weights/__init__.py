"""Weights in and out: files, timm, torchvision, hubs; read, renamed, fitted."""

from .files import read, write
from .fitting import Fitted, fitted
from .maps import Dialect, to_timm
from .origins import Numerics, Origin, obtain

__all__ = ["Dialect", "Fitted", "Numerics", "Origin", "fitted", "obtain", "read", "to_timm", "write"]
