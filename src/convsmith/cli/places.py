"""Where a verb may write what it is asked to: told before the work and not behind it."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from ..files import check_writable

__all__ = ["page", "picture", "writable"]


def writable(path: Path | None) -> None:
    """Refuse a place that a file could not be written to; its folder is made with it."""
    if path is not None:
        check_writable(path)


def picture(path: Path | None) -> None:
    """Refuse a place that a picture could not be written to."""
    if path is not None and path.suffix not in (".svg", ".png"):
        raise UserError(f"a picture is a .svg or a .png; got {path.name}")
    writable(path)


def page(path: Path | None) -> None:
    """Refuse a place that a page could not be written to."""
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"a page is an .html; got {path.name}")
    writable(path)
