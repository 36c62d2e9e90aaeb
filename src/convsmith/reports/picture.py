"""What drawings over a picture have in common: the picture beneath them, and a page's colours."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

__all__ = ["BLUE", "DARK", "ORANGE", "WHITE", "named", "over"]

BLUE, ORANGE, WHITE, DARK = "#56b4e9", "#ff9350", "#fff", "#000"


def over(image: Markup, place: tuple[float, float, float, float], says: str, drawn: Iterable[str]) -> Markup:
    """An SVG in the picture's pixels: `image`, a data URI, at `place` (left, top, right, bottom), and over it what is `drawn`,
    which must be escaped. Empty without an image or of no extent."""
    left, top, right, bottom = place
    width, height = right - left, bottom - top
    if not image or not (width > 0 and height > 0):
        return Markup("")
    within = f'x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"'
    return Markup(
        f'<svg viewBox="{left:g} {top:g} {width:g} {height:g}" role="img" aria-label="{escape(says)}">'
        f'<image href="{image}" {within} preserveAspectRatio="none"/>{"".join(drawn)}</svg>'
    )


def named(path: str | None, index: int | None) -> str:
    """Which picture it is."""
    return path or ("" if index is None else f"picture {index}")
