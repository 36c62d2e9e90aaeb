"""Random numbers that depend on nothing but their address, so that a stream can start anywhere."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["permutation", "uniform"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@lru_cache(maxsize=2)
def permutation(n: int, *, seed: int, epoch: int) -> np.ndarray:
    """The order of `n` images in one epoch, int64, not to be written to."""
    order = np.random.default_rng((seed, epoch)).permutation(n)
    order.setflags(write=False)
    return order


def uniform(seed: int, epoch: int, indices: np.ndarray, count: int) -> np.ndarray:
    """`count` numbers in [0, 1) for each image, float64 (len(indices), count).

    Each is a hash of (seed, epoch, index, which), by the finaliser of SplitMix64 (Steele et al., 2014) applied once per
    coordinate. A generator object per image would cost more than the image: 30 microseconds to seed one in NumPy.
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is the point
        state = _mixed(_mixed(np.uint64(seed)) + np.uint64(epoch))
        rows = _mixed(state + indices.astype(np.uint64))
        bits = _mixed(rows[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)
    return (bits >> np.uint64(11)) * 2.0**-53


def _mixed(x: np.ndarray | np.uint64) -> np.ndarray:
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
