"""Whether two ways to score the same things put them in the same order, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UserError

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau of two scores over `n` things: 1 the same order, 0 as good as none, -1 the reverse. `low` and `high` are the
    ends of its 95 % interval. All three are NaN where one of the scores is the same for all."""

    tau: float
    low: float
    high: float
    n: int

    @property
    def sure(self) -> bool:
        """Whether the order of the one says anything of the order of the other: the interval lies above 0."""
        return self.low > 0

    def __str__(self) -> str:
        return f"{self.tau:.2f} [{self.low:.2f}, {self.high:.2f}]"


def agreement(one: Sequence[float], other: Sequence[float], *, draws: int = 1000) -> Agreement:
    """Kendall's tau-b, which allows for ties, with an interval by a bootstrap over the things; what is drawn is the same every
    time.

        tau = (pairs in one order - pairs in opposite orders) / sqrt(pairs untied in one x pairs untied in the other)

    Raises:
        UserError: fewer than two things, or scores of different things.

    >>> round(agreement([1, 2, 3, 4], [1, 3, 2, 4]).tau, 3)
    0.667
    """
    if len(one) != len(other) or len(one) < 2:
        raise UserError(f"an order needs two scores of each of two things or more; got {len(one)} and {len(other)}")
    x, y = (np.sign(np.subtract.outer(own, own)) for own in (np.asarray(one, float), np.asarray(other, float)))
    n = len(one)
    # How often each thing is drawn: one that is drawn twice ties with itself. scipy's takes a second for as many draws.
    taus = _taus(x, y, np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=draws).astype(float))
    known = taus[np.isfinite(taus)]
    low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
    return Agreement(float(_taus(x, y, np.ones((1, n)))[0]), float(low), float(high), n)


def _taus(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """⟨draws⟩ of signs of differences ⟨n,n⟩ and how often each thing counts ⟨draws,n⟩."""

    def pairs(signs: np.ndarray) -> np.ndarray:
        return np.asarray((counts @ signs * counts).sum(1))

    untied = pairs(x * x) * pairs(y * y)
    return np.asarray(np.divide(pairs(x * y), np.sqrt(untied), out=np.full(len(counts), np.nan), where=untied > 0))
