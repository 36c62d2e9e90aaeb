"""Pictures small enough for a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

__all__ = ["SIDE", "as_uri", "montage", "thumbnail"]

# The long side of a picture on a page, in pixels, and how well a JPEG of it is kept.
SIDE, _QUALITY = 208, 80
# Pixels up to which a sheet of pictures is a PNG.
_SMALL = 120_000


def thumbnail(pixels: np.ndarray, side: int = SIDE) -> str:
    """A JPEG data URI of uint8 (height, width, 1 or 3)."""
    picture = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def montage(images: np.ndarray, columns: int) -> Image.Image:
    """uint8 pictures ⟨N,C,H,W⟩ of 1 or 3 channels as one, row by row, a pixel apart; small ones each enlarged to some 32 pixels."""
    n, channels, height, width = images.shape
    times = max(1, 32 // max(height, width))
    rows = -(-n // columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), 255, np.uint8)
    for at, image in enumerate(images):
        top, left = (at // columns) * (height + 1), (at % columns) * (width + 1)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    picture = Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)


def as_uri(picture: Image.Image) -> str:
    """A data URI: of a small picture as PNG, which keeps every pixel, of a large one as JPEG."""
    file = io.BytesIO()
    small = picture.width * picture.height <= _SMALL
    picture.save(file, *(("PNG",) if small else ("JPEG",)), **({"optimize": True} if small else {"quality": _QUALITY}))
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(file.getvalue()).decode()
