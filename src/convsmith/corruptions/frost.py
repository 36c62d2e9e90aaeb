"""Frost: five textures of ice on glass, drawn once from a fixed seed. ImageNet-C takes photographs, which are not ours to ship."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from .plasma import plasma

__all__ = ["THICK", "texture"]

SIDE = 512
ICE = np.array([0.80, 0.92, 1.0], np.float32)  # what ice leaves of red, green and blue


THICK = (0.6, 0.65, 0.7, 0.75, 0.8)


@cache
def texture(i: int) -> np.ndarray:
    """One of five pictures of ice, from sparse to thick, uint8 ⟨512,512,3⟩: haze in clouds, and on it ferns."""
    thick, rng = THICK[i], np.random.default_rng([19, i])
    ferns = Image.new("L", (2 * SIDE, 2 * SIDE))
    pen = ImageDraw.Draw(ferns)
    for _ in range(int(160 * thick)):
        start = rng.uniform(0, 2 * SIDE, 2)
        _grow(pen, rng, start[0], start[1], rng.uniform(0, 2 * math.pi), rng.uniform(80, 260), 5)
    drawn = np.asarray(ferns.filter(ImageFilter.GaussianBlur(1.5)).resize((SIDE, SIDE)), np.float32) / 255
    haze = thick * (0.74 + 0.6 * plasma(rng, SIDE, 1.3))
    light = np.clip(haze + 0.5 * drawn + 0.05 * rng.standard_normal((SIDE, SIDE), dtype=np.float32), 0, 1)
    return (light[..., None] * ICE * 255).astype(np.uint8)


def _grow(
    pen: ImageDraw.ImageDraw, rng: Generator, x: float, y: float, angle: float, length: float, width: int
) -> None:
    """A needle of ice with smaller ones at 60 degrees to both sides, as water freezes."""
    end_x, end_y = x + length * math.cos(angle), y + length * math.sin(angle)
    pen.line((x, y, end_x, end_y), fill=int(rng.integers(120, 256)), width=width)
    if length < 24:
        return
    for share in np.arange(0.2, 1, 0.16):
        for turn in (-math.pi / 3, math.pi / 3):
            _grow(
                pen, rng, x + share * (end_x - x), y + share * (end_y - y), angle + turn,
                length * 0.38 * (1.1 - share) * rng.uniform(0.7, 1.3), max(1, width - 2),
            )  # fmt: skip
