"""Weather: snow, frost, fog, glare."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image

from .frost import THICK, texture
from .pixels import blurred_along, zoomed
from .plasma import plasma

__all__ = ["brightness", "fog", "frost", "snow"]

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601


def snow(
    x: np.ndarray,
    rng: Generator,
    mean: float,
    deviation: float,
    zoom: float,
    least: float,
    radius: int,
    sigma: float,
    keep: float,
) -> np.ndarray:
    """Flakes are noise above `least`, enlarged by `zoom` and smeared as they fall; a share `keep` of the picture's own
    colours stays, the rest turns white."""
    flakes = (mean + deviation * rng.standard_normal(x.shape[:2], dtype=np.float32)).astype(np.float32)
    flakes = np.asarray(zoomed(Image.fromarray(flakes), zoom))
    flakes = np.where(flakes < least, 0, flakes.clip(0, 1))[..., None]
    flakes = blurred_along(flakes, rng, radius, sigma, (-135, -45))
    grey = x if x.shape[2] == 1 else (x @ LUMINANCE)[..., None]
    white = np.maximum(x, 1.5 * grey + 0.5)
    return keep * x + (1 - keep) * white + flakes + flakes[::-1, ::-1]


def frost(x: np.ndarray, rng: Generator, keep: float, ice: float) -> np.ndarray:
    """keep x + ice, with a random part of one of five textures that we draw ourselves."""
    h, w = x.shape[:2]
    glass = texture(int(rng.integers(len(THICK))))
    if (side := max(h, w)) > len(glass):
        glass = np.asarray(Image.fromarray(glass).resize((side, side), Image.Resampling.BILINEAR))
    top, left = rng.integers(len(glass) - h + 1), rng.integers(len(glass) - w + 1)
    part = glass[top : top + h, left : left + w].astype(np.float32) / 255
    return keep * x + ice * (part if x.shape[2] == 3 else (part @ LUMINANCE)[..., None])


def fog(x: np.ndarray, rng: Generator, weight: float, decay: float) -> np.ndarray:
    """x + weight x plasma, scaled back so that the brightest stays as bright as it was."""
    side = 1 << (max(x.shape[:2]) - 1).bit_length()
    mist = plasma(rng, side, decay)[: x.shape[0], : x.shape[1], None]
    top = x.max()
    return (x + weight * mist) * (top / (top + weight))


def brightness(x: np.ndarray, rng: Generator, more: float) -> np.ndarray:
    """V of HSV raised by `more`, up to 1; hue and saturation stay, so all channels grow by one factor."""
    v = x.max(2, keepdims=True)
    brighter = np.minimum(v + more, 1)
    return np.where(v > 0, x * (brighter / np.maximum(v, 1e-6)), brighter)
