"""A folder that measures networks on a device without PyTorch, and what it brings back."""

from __future__ import annotations

from .manifest import MANIFEST, Asked, File, Manifest
from .result import Result

__all__ = ["MANIFEST", "Asked", "File", "Manifest", "Result"]
