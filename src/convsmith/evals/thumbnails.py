"""A picture small enough for a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

__all__ = ["SIDE", "thumbnail"]

# The long side of a picture on a page, in pixels, and how well a JPEG of it is kept.
SIDE, _QUALITY = 208, 80


def thumbnail(pixels: np.ndarray, side: int = SIDE) -> str:
    """A JPEG data URI of uint8 (height, width, 1 or 3)."""
    picture = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
