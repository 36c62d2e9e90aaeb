"""Small pictures with joints, for tests: three coloured dots on noise, of three animals."""

from __future__ import annotations

import numpy as np

from convsmith.data import Arrays, Body, ImageData, Joints, Split

BODY = Body(("nose", "eye", "tail"), ruler=(0, 1))


def dots(n: int = 24, *, height: int = 48, width: int = 64, held_out: int = 8) -> ImageData:
    """`n` pictures, the last ones to validate on."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 40, (n, height, width, 3), np.uint8)
    xy = np.empty((n, 3, 2))
    for i in range(n):
        x, y = rng.uniform(10, width - 20), rng.uniform(10, height - 20)
        xy[i] = (x, y), (x + 8, y + 1), (x + 4, y + 9)
        for joint, (column, row) in enumerate(xy[i].round().astype(int)):
            images[i, row - 2 : row + 3, column - 2 : column + 3] = np.eye(3, dtype=np.uint8)[joint] * 255
    xy[0, 2] = np.nan
    names = tuple(f"animal {i % 3}" for i in range(n))
    whole = Split(Arrays(images), Joints.of(xy, BODY, names), names)
    train, val = whole.take(np.arange(n - held_out)), whole.take(np.arange(n - held_out, n))
    return ImageData("dots", BODY.names, train, val, "the last", mirror=False, sides=(height, width))
