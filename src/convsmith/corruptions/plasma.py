"""Plasma: a random height map whose bumps weaken with their size."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

__all__ = ["plasma"]


def plasma(rng: Generator, side: int, decay: float) -> np.ndarray:
    """Diamonds and squares on a torus: float32 ⟨side,side⟩ between 0 and 1; `side` is a power of two.

    Every new point is the mean of four neighbours plus a uniform bump; at each halving of the distance bumps are
    `decay` squared times smaller, as ImageNet-C has it (it scales the range of the bump and the bump).
    """
    heights = np.zeros((1, 1), np.float32)
    bump = 1.0
    while len(heights) < side:
        n = 2 * len(heights)
        finer = np.empty((n, n), np.float32)
        finer[::2, ::2] = heights

        squares, across, down = bump * (2 * rng.random((3, *heights.shape), dtype=np.float32) - 1)
        # Middles of squares, from their corners.
        below = heights + np.roll(heights, -1, 0)
        middles = (below + np.roll(below, -1, 1)) / 4 + squares
        finer[1::2, 1::2] = middles
        # Middles of edges, from their two ends and the middles on both sides.
        finer[::2, 1::2] = (heights + np.roll(heights, -1, 1) + middles + np.roll(middles, 1, 0)) / 4 + across
        finer[1::2, ::2] = (heights + np.roll(heights, -1, 0) + middles + np.roll(middles, 1, 1)) / 4 + down
        heights, bump = finer, bump / decay**2
    heights -= heights.min()
    return heights / (heights.max() or 1)
