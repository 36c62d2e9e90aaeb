"""Noise: a value of each pixel and channel of its own."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise"]


def gaussian_noise(x: np.ndarray, rng: Generator, sigma: float) -> np.ndarray:
    """x + N(0, sigma): little light."""
    return x + sigma * rng.standard_normal(x.shape, dtype=np.float32)


def shot_noise(x: np.ndarray, rng: Generator, photons: float) -> np.ndarray:
    """Poisson(photons x) / photons: light comes in grains."""
    return rng.poisson(x * photons).astype(np.float32) / photons


def impulse_noise(x: np.ndarray, rng: Generator, amount: float) -> np.ndarray:
    """A share `amount` of the values becomes 0 or 1, each half the time: broken bits."""
    drawn = rng.random(x.shape, dtype=np.float32)
    return np.where(drawn < amount, (drawn < amount / 2).astype(np.float32), x)
