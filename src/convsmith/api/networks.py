"""Networks by name, file or folder: specs, and built ones."""

from __future__ import annotations

from .. import resolve
from .words import answering

__all__ = ["create", "spec"]

spec = answering(resolve.spec)
create = answering(resolve.create)
