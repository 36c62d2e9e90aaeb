"""What a `PoseAugment` does to one image, uint8 (height, width, channels): one move of all its pixels, then blur, holes, light.

Everything comes from nine numbers in [0, 1) that are the image's own. A number that decides whether something happens is,
where it does, stretched to [0, 1) again and says how.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from ..recipe import PoseAugment
from .moves import Move
from .sample import uniform

__all__ = ["moved", "posed"]

Affine = tuple[float, float, float, float, float, float]


def posed(policy: PoseAugment, image: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """`image` after the policy; `draws` holds nine numbers in [0, 1) or more."""
    affine = _affine(policy, draws, *image.shape[:2])
    if affine is not None:
        image = _resampled(image, affine)
    if (angle := _within(draws[4], policy.blur_chance)) is not None and policy.blur >= 3:
        image = _blurred(image, 3 + 2 * int(draws[5] * ((policy.blur - 1) // 2)), math.pi * angle)
    if (address := _within(draws[6], policy.drop_chance)) is not None and policy.drop:
        image = _dropped(image, policy.drop, policy.drop_grid, int(address * 2**53))
    contrast = 1 + policy.contrast * (2 * float(draws[7]) - 1)
    gain = 1 + policy.gain * (2 * float(draws[8]) - 1)
    return image if contrast == gain == 1 else _lit(image, contrast, gain)


def moved(policy: PoseAugment, draws: np.ndarray, height: int, width: int) -> Move:
    """Where the pixels of an image of this size go in `posed`."""
    affine = _affine(policy, draws, height, width)
    return Move.identity() if affine is None else Move.sampled(affine)


def _affine(policy: PoseAugment, draws: np.ndarray, height: int, width: int) -> Affine | None:
    """From an output pixel to where it comes from, both from corners: turned, sized and shifted about the image's middle.

    out = s R (in - middle) + middle + shift
    """
    turn = _within(draws[0], policy.turn_chance)
    angle = 0.0 if turn is None else math.radians(policy.turn * (2 * turn - 1))
    low, high = policy.scale
    scale = low + (high - low) * float(draws[1])
    along = _within(draws[2], policy.shift_chance)
    right, down = (0.0, 0.0) if along is None else (2 * along - 1, 2 * float(draws[3]) - 1)
    if angle == 0 and scale == 1 and right == down == 0:
        return None
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    x, y = width / 2, height / 2
    to_x, to_y = x + policy.shift * width * right, y + policy.shift * height * down
    return cos, -sin, x - cos * to_x + sin * to_y, sin, cos, y - sin * to_x - cos * to_y


def _within(draw: float, chance: float) -> float | None:
    """A number in [0, 1) where `draw` is below `chance`: that number, stretched. None where it is not."""
    return float(draw) / chance if draw < chance else None


def _resampled(image: np.ndarray, affine: Affine) -> np.ndarray:
    """Bilinearly; black where the picture is not."""
    grey = image.shape[2] == 1
    picture = Image.fromarray(image[..., 0] if grey else image)
    out = np.asarray(
        picture.transform(picture.size, Image.Transform.AFFINE, affine, resample=Image.Resampling.BILINEAR)
    )
    return out[..., None] if grey else out


def _blurred(image: np.ndarray, taps: int, angle: float) -> np.ndarray:
    """The mean of `taps` copies along a line through each pixel, to whole pixels; the border's pixels go on beyond it.

    As many lie on one side as on the other, so that nothing moves.
    """
    reach = taps // 2
    height, width = image.shape[:2]
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.full(image.shape, reach, np.uint16)  # the nearest integer: half a divisor is added
    for step in range(-reach, reach + 1):
        top, left = reach + round(step * math.sin(angle)), reach + round(step * math.cos(angle))
        total += wide[top : top + height, left : left + width]
    return np.asarray(total // taps, dtype=np.uint8)


def _dropped(image: np.ndarray, share: float, grid: float, address: int) -> np.ndarray:
    """Black in a share of the rectangles of a grid, whose sides are `grid` of the image's in cells."""
    height, width = image.shape[:2]
    rows, columns = max(1, round(grid * height)), max(1, round(grid * width))
    out = image.copy()
    for row, column in np.argwhere(uniform(address, 0, np.arange(rows), columns) < share).tolist():
        # Few of them: slices are ten times as fast as a mask of all pixels.
        top, bottom = (-(-height * at // rows) for at in (row, row + 1))
        left, right = (-(-width * at // columns) for at in (column, column + 1))
        out[top:bottom, left:right] = 0
    return out


def _lit(image: np.ndarray, contrast: float, gain: float) -> np.ndarray:
    """gain (mean + contrast (x - mean)), by a table: the mean is of all values, as exact as brightness need be."""
    mean = float(image.mean())
    levels = gain * (mean + contrast * (np.arange(256, dtype=np.float32) - mean))
    return np.take(np.clip(levels + 0.5, 0, 255).astype(np.uint8), image)
