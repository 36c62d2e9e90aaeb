"""The sixteen operations of AutoAugment and RandAugment on one image, uint8 (height, width, channels), RGB or grey.

Definitions are Pillow's, which the published policies were found with: integer levels, blends cut off and not rounded,
rotations and shears that take the nearest pixel, what comes in from outside being grey 128. Point operations go through
a table of 256 entries; geometry is Pillow's own. torchvision does the same and is the oracle of the tests, but takes two
seconds to import in every worker and ten times as long to turn an image.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..recipe import Operation
from .moves import Move, sampled_at_turn

__all__ = ["blended", "brightened", "contrasted", "moved", "operated", "saturated"]

Affine = tuple[float, float, float, float, float, float]

GREY = 128
_LEVELS = np.arange(256, dtype=np.int32)


def operated(
    image: np.ndarray, operation: Operation, level: float, draws: np.ndarray, *, reach: float, scale: float = 1.0
) -> np.ndarray:
    """`image` after `operation` at `level`, in tenths of its range and beyond.

    `draws` holds two numbers in [0, 1): the sign of what has one, and where a cut-out lies. `reach` is the pixels a level
    that translations move by; `scale` multiplies them and the cut-out's.
    """
    if (affine := _affine(operation, level, draws, reach, scale, *image.shape[:2])) is not None:
        return _moved(image, affine)
    match operation:
        case Operation.AUTO_CONTRAST:
            return _auto_contrast(image)
        case Operation.EQUALIZE:
            return _equalized(image)
        case Operation.INVERT:
            return 255 - image
        case Operation.POSTERIZE:
            return _posterized(image, int(0.4 * level))
        case Operation.SOLARIZE:
            return np.where(image < int(25.6 * level), image, 255 - image)
        case Operation.SOLARIZE_ADD:
            return np.where(image < 128, np.minimum(image.astype(np.int32) + int(11 * level), 255), image).astype(
                np.uint8
            )
        case Operation.COLOUR:
            return saturated(image, 0.18 * level + 0.1)
        case Operation.CONTRAST:
            return contrasted(image, 0.18 * level + 0.1)
        case Operation.BRIGHTNESS:
            return brightened(image, 0.18 * level + 0.1)
        case Operation.SHARPNESS:
            return blended(_smoothed(image), image, 0.18 * level + 0.1)
        case Operation.CUTOUT:
            return _cut_out(image, round(4 * level * scale), draws)
    raise AssertionError(operation)


def moved(
    operation: Operation,
    level: float,
    draws: np.ndarray,
    *,
    reach: float,
    scale: float = 1.0,
    height: int,
    width: int,
) -> Move:
    """Where the pixels of an image of this size go in `operated`: nowhere, unless it turns, shears or shifts them."""
    affine = _affine(operation, level, draws, reach, scale, height, width)
    return Move.identity() if affine is None else Move.sampled(affine)


def _affine(
    operation: Operation, level: float, draws: np.ndarray, reach: float, scale: float, height: int, width: int
) -> Affine | None:
    """From an output pixel to where it comes from, both from corners; None of what moves no pixel."""
    sign = -1.0 if draws[0] < 0.5 else 1.0
    match operation:
        case Operation.ROTATE:
            return sampled_at_turn(sign * 3 * level, height, width)
        case Operation.SHEAR_X:
            return 1, sign * 0.03 * level, 0, 0, 1, 0
        case Operation.SHEAR_Y:
            return 1, 0, 0, sign * 0.03 * level, 1, 0
        case Operation.TRANSLATE_X:
            return 1, 0, sign * reach * scale * level, 0, 1, 0
        case Operation.TRANSLATE_Y:
            return 1, 0, 0, 0, 1, sign * reach * scale * level
        case _:
            return None


# ---- tables of 256 levels --------------------------------------------------------------------------------------------


def _posterized(image: np.ndarray, bits: int) -> np.ndarray:
    # At no bits the image would be black, whatever its class; one is kept. Eight and more change nothing.
    return image & np.uint8(256 - 2 ** (8 - min(8, max(1, bits))))


def _auto_contrast(image: np.ndarray) -> np.ndarray:
    """Each channel stretched so that its darkest pixel is 0 and its brightest 255; a flat one stays."""
    out = image.copy()
    for channel in range(image.shape[2]):
        low, high = int(image[..., channel].min()), int(image[..., channel].max())
        if high > low:
            scale = 255 / (high - low)
            out[..., channel] = np.clip(_LEVELS * scale - low * scale, 0, 255).astype(np.uint8)[image[..., channel]]
    return out


def _equalized(image: np.ndarray) -> np.ndarray:
    """Each channel with a histogram as flat as a table can make it, by Pillow's integer rule."""
    out = image.copy()
    for channel in range(image.shape[2]):
        counts = np.bincount(image[..., channel].ravel(), minlength=256)
        step = (counts.sum() - counts[counts.nonzero()[0][-1]]) // 255
        if step:
            before = np.cumsum(counts) - counts
            out[..., channel] = np.minimum((before + step // 2) // step, 255).astype(np.uint8)[image[..., channel]]
    return out


def brightened(image: np.ndarray, factor: float) -> np.ndarray:
    """Blended with black."""
    return np.take(_cut(_LEVELS * np.float32(factor)), image)


def contrasted(image: np.ndarray, factor: float) -> np.ndarray:
    """Blended with the mean of its luminance."""
    mean = int(luminance(image).mean() + 0.5)
    return np.take(_cut(mean + np.float32(factor) * (_LEVELS - mean)), image)


# ---- blends ----------------------------------------------------------------------------------------------------------


def saturated(image: np.ndarray, factor: float) -> np.ndarray:
    """Blended with its luminance; grey stays grey."""
    return image if image.shape[2] == 1 else blended(luminance(image)[..., None], image, factor)


def blended(one: np.ndarray, other: np.ndarray, factor: float) -> np.ndarray:
    """one + factor (other - one), cut off to bytes: 0 gives `one`, 1 `other`, more leads beyond it."""
    start = one.astype(np.float32)
    return _cut(start + np.float32(factor) * (other.astype(np.float32) - start))


def luminance(image: np.ndarray) -> np.ndarray:
    """ITU-R 601 in Pillow's 16-bit fixed point, (height, width)."""
    if image.shape[2] == 1:
        return image[..., 0]
    weighted = image.astype(np.int32) @ np.array((19595, 38470, 7471), np.int32)
    return np.asarray((weighted + 0x8000) >> 16, dtype=np.uint8)


def _smoothed(image: np.ndarray) -> np.ndarray:
    """The 3x3 mean in which the middle counts five times; the border as it was."""
    height, width = image.shape[:2]
    if min(height, width) < 3:
        return image
    wide = image.astype(np.int32)
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * wide[1:-1, 1:-1]
    out = image.copy()
    out[1:-1, 1:-1] = (2 * total + 13) // 26  # the nearest integer of total / 13
    return out


def _cut(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(values, 0, 255), dtype=np.uint8)


# ---- geometry --------------------------------------------------------------------------------------------------------


def _moved(image: np.ndarray, affine: Affine) -> np.ndarray:
    """The image whose pixel (x, y) is that of `image` at (a x + b y + c, d x + e y + f)."""
    grey = image.shape[2] == 1
    picture = Image.fromarray(image[..., 0] if grey else image)
    moved = picture.transform(
        picture.size,
        Image.Transform.AFFINE,
        affine,
        resample=Image.Resampling.NEAREST,
        fillcolor=GREY if grey else (GREY,) * 3,
    )
    out = np.asarray(moved)
    return out[..., None] if grey else out


def _cut_out(image: np.ndarray, half: int, draws: np.ndarray) -> np.ndarray:
    """Grey in a square of side 2 `half`, cut at the border, about a pixel drawn anywhere in the image."""
    height, width = image.shape[:2]
    y, x = int(draws[0] * height), int(draws[1] * width)
    out = image.copy()
    out[max(0, y - half) : y + half, max(0, x - half) : x + half] = GREY
    return out
