"""What several corruptions do with pixels: float32 ⟨H,W,C⟩ between 0 and 1."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from PIL import Image

__all__ = ["as_bytes", "as_picture", "blurred_along", "half_gaussian", "padded", "zoomed"]


def as_bytes(x: np.ndarray) -> np.ndarray:
    """uint8, rounded and clipped."""
    return (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def as_picture(x: np.ndarray) -> Image.Image:
    """Pillow's picture of ⟨H,W,1⟩ or ⟨H,W,3⟩, of bytes or of floats."""
    pixels = x if x.dtype == np.uint8 else as_bytes(x)
    return Image.fromarray(pixels.squeeze(2) if x.shape[2] == 1 else pixels)


def padded(x: np.ndarray, border: int, mode: str = "reflect") -> np.ndarray:
    """With a border on all four sides, which for `reflect` does not repeat the edge itself."""
    return np.pad(x, ((border, border), (border, border), (0, 0)), mode=mode)  # type: ignore[call-overload]


def zoomed(plane: Image.Image, factor: float) -> Image.Image:
    """The picture's middle, `factor` times as large, in the picture's own size."""
    w, h = plane.size
    left, top = (w - w / factor) / 2, (h - h / factor) / 2
    return plane.resize((w, h), Image.Resampling.BILINEAR, box=(left, top, w - left, h - top))


def half_gaussian(taps: int, sigma: float) -> np.ndarray:
    """The weights of a motion that fades out: exp(-i^2 / 2 sigma^2) for i = 0, 1, ..., which sum to 1."""
    weights = np.exp(-(np.arange(taps) ** 2) / (2 * sigma**2))
    return (weights / weights.sum()).astype(np.float32)


def blurred_along(x: np.ndarray, rng: Generator, radius: int, sigma: float, degrees: tuple[float, float]) -> np.ndarray:
    """Smeared over 2 radius + 1 pixels in a direction drawn between two angles; beyond the edge the edge goes on."""
    angle = math.radians(rng.uniform(*degrees))
    h, w = x.shape[:2]
    reach = 2 * radius
    wide = padded(x, reach, "edge")
    out = np.zeros_like(x)
    for i, weight in enumerate(half_gaussian(reach + 1, sigma)):
        top, left = reach + round(i * math.sin(angle)), reach + round(i * math.cos(angle))
        out += weight * wide[top : top + h, left : left + w]
    return out
