"""Where a part of a user's own comes from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OwnPart"]


@dataclass(frozen=True)
class OwnPart:
    """Where a part of a user's own is written, and sixteen digits that change with the source of its class. One that was typed
    at a prompt has neither file nor digest."""

    kind: str
    module: str
    file: str | None = None
    digest: str | None = None
