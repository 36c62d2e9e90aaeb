"""`corrupted`: one picture, one corruption, one severity."""

from __future__ import annotations

import zlib

import numpy as np

from ..errors import UserError, nearest
from .pixels import as_bytes
from .table import BY_NAME, CORRUPTIONS

__all__ = ["SEVERITIES", "SMALL", "corrupted"]

SEVERITIES = (1, 2, 3, 4, 5)
# Below this short side, in pixels, ImageNet-C's strengths leave nothing to see: CIFAR-C's are taken.
SMALL = 64


def corrupted(picture: np.ndarray, name: str, severity: int, *, seed: int = 0) -> np.ndarray:
    """The picture, corrupted.

    Args:
        picture: uint8 ⟨H,W⟩, ⟨H,W,1⟩ or ⟨H,W,3⟩ of any size; it is left as it is.
        name: one of `CORRUPTIONS`.
        severity: 1, the weakest, to 5.
        seed: another seed draws other noise. What is drawn depends on it, on the picture's own pixels, on the corruption
            and on the severity, and on nothing else.

    Returns:
        uint8 of the same shape.

    Raises:
        UserError: an unknown corruption, another severity, or something that is no picture of bytes.
    """
    if name not in BY_NAME:
        raise UserError(f"there is no corruption '{name}'{nearest(name, BY_NAME)}; there are {', '.join(BY_NAME)}")
    if severity not in SEVERITIES:
        raise UserError(f"severity {severity} is none of 1, 2, 3, 4, 5")
    fits = picture.dtype == np.uint8 and (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (1, 3)))
    if not fits or picture.size == 0:
        raise UserError(
            f"a picture to corrupt is uint8, (height, width) or (height, width, 1 or 3); this is {picture.dtype} "
            f"{picture.shape}"
        )
    known = BY_NAME[name]
    strength = (known.small if min(picture.shape[:2]) < SMALL else known.strengths)[severity - 1]
    pixels = np.ascontiguousarray(picture)
    rng = np.random.default_rng([seed, zlib.crc32(pixels.data), CORRUPTIONS.index(known), severity])
    x = pixels.reshape(*picture.shape[:2], -1)
    if known.on_bytes:
        return np.array(known.effect(x, rng, *strength)).reshape(picture.shape)
    return as_bytes(known.effect(x.astype(np.float32) / 255, rng, *strength)).reshape(picture.shape)
