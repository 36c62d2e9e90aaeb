"""How alike neighbouring pixels of a channel are, and what a mean over them therefore leaves: `Alike`.

Filters drawn independently keep, on average over channels, the covariance of each pair of pixels. So a covariance is made
by a max-pool, whose windows overlap, changed by each activation, and used up by average pools.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .gain import Array, at_points, quadrature

__all__ = ["Alike", "behind", "of_maxima"]

# Neighbours behind a max-pool correlate by 0.3 at most, and 0.3 ** 24 is nothing.
_ORDERS = 24
_WINDOW = 9  # values in a window of 3x3, of which a window 2 further shares a column
_SHARED_BY_SIDE, _SHARED_BY_CORNER = 3, 1


@dataclass(frozen=True)
class Alike:
    """The variance of a channel's pixels and the covariance of two that share a `side` or a `corner`; others have none.

    Means over channels.
    """

    variance: float
    side: float = 0.0
    corner: float = 0.0

    def __add__(self, other: Alike) -> Alike:
        return Alike(self.variance + other.variance, self.side + other.side, self.corner + other.corner)

    def __mul__(self, factor: float) -> Alike:
        return Alike(factor * self.variance, factor * self.side, factor * self.corner)

    def strided(self, stride: int) -> Alike:
        """Of every `stride`-th pixel."""
        return self if stride == 1 else Alike(self.variance)

    def pooled(self) -> Alike:
        """Of means of 2x2 with stride 2: 1/4 of the variance where neighbours have nothing in common, all of it where they
        are the same. Of two windows side by side one pair of columns touches."""
        return Alike(
            self.variance / 4 + self.side / 2 + self.corner / 4, self.side / 8 + self.corner / 8, self.corner / 16
        )


def behind(function: Callable[[Tensor], Tensor], before: Alike) -> Alike:
    """Of function(x) for a Gaussian x of mean 0.

    With f(s z) = sum of c_k h_k(z), h_k the orthonormal Hermite polynomials and s the deviation, two values that correlate
    by r have Cov = sum over k > 0 of c_k^2 r^k (Mehler's formula).
    """
    _, chances = quadrature()
    deviation = math.sqrt(before.variance)
    y = at_points(lambda z: function(deviation * z))
    mean = float(chances @ y)
    squares = _coefficients(y) ** 2

    def covariance(before_it: float) -> float:
        return float(squares @ (before_it / before.variance) ** np.arange(1, _ORDERS)) if before_it else 0.0

    return Alike(float(chances @ (y - mean) ** 2), covariance(before.side), covariance(before.corner))


def _coefficients(y: Array) -> Array:
    x, chances = quadrature()
    polynomials = [np.ones_like(x), x]
    for k in range(2, _ORDERS):
        polynomials.append((x * polynomials[-1] - math.sqrt(k - 1) * polynomials[-2]) / math.sqrt(k))
    return np.asarray([chances @ (y * one) for one in polynomials[1:]])


def of_maxima(function: Callable[[Tensor], Tensor], variance: float) -> Alike:
    """Of function(m), m the maximum over each 3x3, with stride 2, of independent x ~ N(0, variance).

    The maximum of n values has the density n p(t) P(t)^(n - 1). Two windows that share s of their n values are independent
    once the largest of these, t, is known: Cov = E over t of (E[function(max(t, n - s others))] - mean)^2.
    """
    x, chances = quadrature()
    deviation = math.sqrt(variance)
    y = at_points(lambda z: function(deviation * z))
    below = _below(x)
    mean = float(_largest(_WINDOW, below, chances) @ y)

    def covariance(shared: int) -> float:
        others = _WINDOW - shared
        weighed = _largest(others, below, chances) * y
        above = np.cumsum(weighed[::-1])[::-1] - weighed / 2
        given = y * below**others + above
        return float(_largest(shared, below, chances) @ (given - mean) ** 2)

    whole = float(_largest(_WINDOW, below, chances) @ (y - mean) ** 2)
    return Alike(whole, covariance(_SHARED_BY_SIDE), covariance(_SHARED_BY_CORNER))


def _below(x: Array) -> Array:
    return np.asarray(torch.special.ndtr(torch.from_numpy(x.copy())).numpy())


def _largest(n: int, below: Array, chances: Array) -> Array:
    """The chances of the largest of n values to be each of the points."""
    made: Array = n * below ** (n - 1) * chances
    return made
