"""Digital: contrast, warped pixels, coarse pixels, JPEG."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.random import Generator
from PIL import Image

from .pixels import as_picture

__all__ = ["contrast", "elastic_transform", "jpeg_compression", "pixelate"]


def contrast(x: np.ndarray, rng: Generator, factor: float) -> np.ndarray:
    """Every channel drawn towards its own mean: (x - mean) factor + mean."""
    means = x.mean((0, 1), keepdims=True)
    return (x - means) * factor + means


def elastic_transform(
    x: np.ndarray, rng: Generator, reach: float, sigma: float, strength: float, corners: float
) -> np.ndarray:
    """Pixels pulled about by smooth random fields, and the whole by a random affine map.

    Lengths are shares of the picture: a displacement is uniform within `reach` of the height, smoothed by a Gaussian of
    `sigma` of each side, times `strength`; three points a third of the picture apart move by up to `corners`.
    """
    from scipy.ndimage import gaussian_filter

    sides = np.array(x.shape[:2], dtype=np.float64)
    places = np.indices(x.shape[:2], np.float32)
    fields = strength * reach * x.shape[0] * (2 * rng.random(places.shape, dtype=np.float32) - 1)
    moved = places + gaussian_filter(fields, (0, *(sigma * sides)))
    if corners:
        moved = _affine(moved, rng, sides, corners)
    return _sampled(x, moved)


def _affine(places: np.ndarray, rng: Generator, sides: np.ndarray, corners: float) -> np.ndarray:
    """The places under the affine map that moves three points about the middle at random: ⟨2,H,W⟩."""
    middle, arm = sides / 2, sides.min() / 3
    points = middle + arm * np.array([[1, 1], [1, -1], [-1, -1]])
    goals = points + rng.uniform(-1, 1, points.shape) * corners * sides.min()
    rows = np.linalg.solve(np.column_stack([points, np.ones(3)]), goals)  # ⟨3,2⟩
    return (np.tensordot(rows[:2].T, places, 1) + rows[2][:, None, None]).astype(np.float32)


def _sampled(x: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The picture at ⟨2,H,W⟩ places between its pixels, linearly; beyond an edge it is mirrored."""
    low, share = [], []
    for axis, side in enumerate(x.shape[:2]):
        # Mirrored about the edge of the last pixel, over and over: a wave of period 2 side.
        at = np.abs((places[axis] + 0.5) % (2 * side) - side)
        at = np.clip(side - at - 0.5, 0, side - 1)
        low.append(np.minimum(at.astype(np.intp), max(side - 2, 0)))
        share.append((at - low[-1]).astype(np.float32)[..., None])
    flat, width = x.reshape(-1, x.shape[2]), x.shape[1]
    right, down = min(1, width - 1), width if x.shape[0] > 1 else 0
    first = low[0] * width + low[1]
    top = flat[first] * (1 - share[1]) + flat[first + right] * share[1]
    bottom = flat[first + down] * (1 - share[1]) + flat[first + down + right] * share[1]
    return top * (1 - share[0]) + bottom * share[0]


def pixelate(x: np.ndarray, rng: Generator, share: float) -> np.ndarray:
    """Shrunk to a share of its sides by averaging, and back without smoothing: bytes."""
    picture = as_picture(x)
    w, h = picture.size
    small = picture.resize((max(1, int(w * share)), max(1, int(h * share))), Image.Resampling.BOX)
    return _pixels(small.resize((w, h), Image.Resampling.NEAREST), x)


def jpeg_compression(x: np.ndarray, rng: Generator, quality: int) -> np.ndarray:
    """Written as JPEG of this quality, and read again: bytes."""
    file = BytesIO()
    as_picture(x).save(file, "JPEG", quality=quality)
    return _pixels(Image.open(file), x)


def _pixels(picture: Image.Image, like: np.ndarray) -> np.ndarray:
    return np.asarray(picture).reshape(like.shape)
