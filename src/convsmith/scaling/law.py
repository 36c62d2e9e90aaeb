"""Accuracy against cost as a power law of the error, with the interval of one more training: what a scaling study predicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Law"]


@dataclass(frozen=True)
class Law:
    """ln(error) = level + slope * (ln(macs) - center), by least squares over trainings:

        error(macs) = exp(level) * (macs / exp(center)) ** slope

    The error of small networks falls about as a power of their cost, whatever is scaled (Bello et al., 2021, section 6.1);
    that of large ones does not, so an interval beyond the points says what scatter and slope leave open, and not whether
    the law still holds. A prediction's interval is that of one more training:

        t(m - 2) * scatter * sqrt(1 + 1/m + (x - center)**2 / spread)
    """

    level: float
    slope: float
    center: float
    scatter: float
    spread: float
    m: int

    @staticmethod
    def fitted(macs: Sequence[float], top1: Sequence[float], n: int) -> Law:
        """Through trainings' costs and their top-1 on `n` images. Needs three, at two costs at least."""
        if len(macs) < 3 or len(set(macs)) < 2:
            raise ValueError(f"a law needs three trainings at two costs; got {len(macs)} at {len(set(macs))}")
        x = [math.log(cost) for cost in macs]
        # An error of zero on n images is half an image's, so that its logarithm is a number.
        y = [math.log(((1 - score) * n + 0.5) / (n + 1)) for score in top1]
        m, center, level = len(x), sum(x) / len(x), sum(y) / len(y)
        spread = sum((a - center) ** 2 for a in x)
        slope = sum((a - center) * (b - level) for a, b in zip(x, y, strict=True)) / spread
        rest = sum((b - level - slope * (a - center)) ** 2 for a, b in zip(x, y, strict=True))
        return Law(level, slope, center, math.sqrt(rest / (m - 2)), spread, m)

    def at(self, macs: float, *, mean_of: int = 1) -> tuple[float, float, float]:
        """Predicted top-1 and the ends of its 95 % interval, for the mean of so many further trainings."""
        from scipy.special import stdtrit  # what scipy.stats calls, a third of its import

        x = math.log(macs) - self.center
        y = self.level + self.slope * x
        wide = float(stdtrit(self.m - 2, 0.975)) * self.scatter
        wide *= math.sqrt(1 / mean_of + 1 / self.m + x**2 / self.spread)
        return tuple(min(max(1 - math.exp(value), 0.0), 1.0) for value in (y, y + wide, y - wide))  # type: ignore[return-value]
