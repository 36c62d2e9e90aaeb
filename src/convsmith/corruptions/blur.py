"""Blur: out of focus, through frosted glass, by motion, by zooming."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .pixels import as_picture, blurred_along, padded, zoomed

__all__ = ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur"]


def _disc(radius: float, alias: float) -> np.ndarray:
    """A disc that sums to 1, its steps smoothed by a small Gaussian: float32 ⟨K,K⟩."""
    from scipy.ndimage import gaussian_filter  # not above: who asks for names alone need not wait for SciPy

    soft = 1 if radius <= 8 else 2  # the Gaussian is 3 x 3 or 5 x 5
    half = int(radius) + soft
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    disc = (rows**2 + columns**2 <= radius**2).astype(np.float32)
    return gaussian_filter(disc / disc.sum(), alias, radius=soft, mode="constant")


def defocus_blur(x: np.ndarray, rng: Generator, radius: float, alias: float) -> np.ndarray:
    """Each point of light becomes a disc."""
    from scipy.signal import fftconvolve

    kernel = _disc(radius, alias)
    return fftconvolve(padded(x, len(kernel) // 2), kernel[:, :, None], mode="valid", axes=(0, 1))


def glass_blur(x: np.ndarray, rng: Generator, sigma: float, reach: int, rounds: int) -> np.ndarray:
    """Smoothed, then each pixel changes places with one nearby, row after row from the lower right, then smoothed again."""
    h, w = x.shape[:2]
    order = list(range(h * w))
    if h > 2 * reach and w > 2 * reach:
        rows, columns = np.mgrid[h - reach - 1 : reach - 1 : -1, w - reach - 1 : reach - 1 : -1]
        here = (rows * w + columns).ravel()
        for _ in range(rounds):
            down, right = rng.integers(-reach, reach, size=(2, here.size))
            # One swap builds on the one before it, so this is a loop; over numbers in a list it takes milliseconds.
            for a, b in zip(here.tolist(), (here + down * w + right).tolist(), strict=True):
                order[a], order[b] = order[b], order[a]
    shuffled = _smoothed(x, sigma).reshape(h * w, -1)[order].reshape(x.shape)
    return _smoothed(shuffled, sigma)


def _smoothed(x: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(x, (sigma, sigma, 0), mode="nearest", truncate=4)


def motion_blur(x: np.ndarray, rng: Generator, radius: int, sigma: float) -> np.ndarray:
    """The camera moved to one side, up to 45 degrees up or down."""
    return blurred_along(x, rng, radius, sigma, (-45, 45))


def zoom_blur(x: np.ndarray, rng: Generator, last: float, step: float) -> np.ndarray:
    """The mean of the picture and of its middle at every zoom from 1 to `last`: the camera moved forwards."""
    picture = as_picture(x)
    frames = [picture, *(zoomed(picture, factor) for factor in np.arange(1, last + step / 2, step))]
    stack = np.array([np.asarray(frame) for frame in frames])
    return stack.mean(0, np.float32).reshape(x.shape) / 255
