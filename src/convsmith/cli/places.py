"""Where a verb may write what it is asked to: told before the work and not behind it."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError

__all__ = ["picture", "writable"]


def writable(path: Path | None) -> None:
    """Refuse a file to write that is a folder."""
    if path is not None and (path.is_dir() or not path.name):
        raise UserError(f"'{path}' is a folder; give the name of a file")


def picture(path: Path | None) -> None:
    """Refuse a place that a picture could not be written to."""
    if path is None:
        return
    if path.suffix not in (".svg", ".png"):
        raise UserError(f"a picture is a .svg or a .png; got {path.name}")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent} to draw {path.name} in")
