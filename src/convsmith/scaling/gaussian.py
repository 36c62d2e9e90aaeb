"""Curves with an interval through few points: Gaussian processes over one number (for the tiny formula, Han et al., 2020)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..ranges import at_least, check_numbers

__all__ = ["Curve"]

_STEEPEST = 50  # of logarithms: no network has e**50 times the depth of another


@dataclass(frozen=True)
class Curve:
    """A Gaussian process with a squared exponential kernel around a line, conditioned on the points (x, y):

        k(x, x') = signal**2 * exp(-(x - x')**2 / (2 length**2)),   K = k(X, X) + noise**2 I
        mean(x) = line(x) + k(x, X) K^-1 (y - line(X)),   variance(x) = signal**2 - k(x, X) K^-1 k(X, x)

    Far from its points it returns to `level + slope * x`. `variance` is that of the curve; a new run scatters around it
    by `noise` on top.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    level: float
    slope: float
    length: float
    signal: float
    noise: float

    def __post_init__(self) -> None:
        check_numbers(self, "curve")
        if len(self.x) != len(self.y) or not self.x:
            raise ValueError(f"a curve needs as many x as y, and one at least; got {len(self.x)} and {len(self.y)}")
        numbers = {"x": self.x, "y": self.y, "level": (self.level,), "slope": (self.slope,)}
        for name, values in numbers.items():
            for value in values:
                at_least(f"curve.{name}", value, -_STEEPEST, _STEEPEST)
        at_least("curve.length", self.length, 1e-3)
        at_least("curve.signal", self.signal, 1e-9)
        at_least("curve.noise", self.noise, 0)

    @staticmethod
    def around_mean(x: Sequence[float], y: Sequence[float], *, length: float, signal: float, noise: float) -> Curve:
        """The process with given hyperparameters that returns to the mean of y."""
        return Curve(tuple(x), tuple(y), sum(y) / len(y), 0.0, length, signal, noise)

    @staticmethod
    def fitted(x: Sequence[float], y: Sequence[float], *, noise: float | None = None) -> Curve:
        """The process that returns to the least-squares line, its hyperparameters by the largest marginal likelihood:

            -1/2 y' K^-1 y - 1/2 log|K| - m/2 log 2 pi

        `noise`, where given, is a deviation in units of y and is kept. A length is at least 0.5 in units of x (here: ln c),
        so that a curve through few points does not jump back to the line between them. One point gives a flat line.
        """
        import numpy as np
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        xs, ys = np.asarray(x, float), np.asarray(y, float)
        slope, level = np.polyfit(xs, ys, 1) if len(set(x)) > 1 else (0.0, ys.mean())
        rest = ys - (level + slope * xs)
        scale = max(float(rest.std()), 1e-6)
        white = WhiteKernel(0.25, (1e-4, 4.0)) if noise is None else WhiteKernel((noise / scale) ** 2, "fixed")
        kernel = ConstantKernel(1.0, (0.05, 20.0)) * RBF(1.0, (0.5, 10.0)) + white
        process = GaussianProcessRegressor(kernel, n_restarts_optimizer=4, random_state=0)
        with warnings.catch_warnings():
            # A length or noise at the edge of its range is an answer: the points are a line, or hold no noise.
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(xs[:, None], rest / scale)
        found: Any = process.kernel_
        return Curve(
            x=tuple(map(float, xs)),
            y=tuple(map(float, ys)),
            level=float(level),
            slope=float(slope),
            length=float(found.k1.k2.length_scale),
            signal=scale * math.sqrt(found.k1.k1.constant_value),
            noise=scale * math.sqrt(found.k2.noise_level),
        )

    def at(self, x: float) -> tuple[float, float]:
        """Mean and variance of the curve at x."""
        import numpy as np

        mean, deviation = _process(self).predict(np.asarray([[x]], float), return_std=True)
        return self.level + self.slope * x + float(mean[0]), float(deviation[0]) ** 2


@lru_cache(maxsize=64)
def _process(curve: Curve) -> Any:
    import numpy as np
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    kernel = ConstantKernel(curve.signal**2) * RBF(curve.length)
    # A hundred-millionth of the signal keeps the matrix regular where two points share an x and there is no noise.
    alpha = curve.noise**2 + 1e-8 * curve.signal**2
    xs, ys = np.asarray(curve.x), np.asarray(curve.y)
    process = GaussianProcessRegressor(kernel, alpha=alpha, optimizer=None)
    return process.fit(xs[:, None], ys - curve.level - curve.slope * xs)
