"""What exporting refuses."""

from __future__ import annotations

from ..errors import CheckFailed, UserError

__all__ = ["ExportDiffers", "ExportError"]


class ExportError(UserError):
    """The network was not exported; no file was written or replaced."""


class ExportDiffers(ExportError, CheckFailed):
    """The exported file was run and gave other answers than the network."""
