"""How sure a share can be, given how many were counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from statistics import NormalDist, fmean, stdev

import numpy as np

from ..scores import Metric, Scores, Unit

__all__ = ["across", "bootstrapped", "counted", "paired", "standard_error", "student", "student_of_shares", "wilson"]


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval, within [0, 1], for the probability behind `successes` out of `n` (Wilson, 1927).

    With p = successes / n and z the normal quantile of the confidence,

        (p + z^2 / 2n  -+  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    It keeps its promise near 0 and 1, where p -+ z sqrt(p (1 - p) / n) does not. Nothing counted: (0, 1).

    >>> tuple(round(end, 4) for end in wilson(0, 10))
    (0.0, 0.2775)
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes out of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it lies between 0 and 1")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = successes / n
    middle = p + z**2 / (2 * n)
    reach = z * sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = ((middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n))
    # The ends are exact where nothing, or everything, succeeded; the arithmetic above misses them by a rounding error.
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def paired(first: np.ndarray, second: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """The interval for the difference of two shares of the same things, bool ⟨n⟩ each (Newcombe, 1998, his method 10 without
    correction for continuity).

    With p, q the shares, [l, u] and [m, v] their intervals by Wilson, and phi the correlation of the two,

        p - q - sqrt((p - l)^2 - 2 phi (p - l) (v - q) + (v - q)^2)  to
        p - q + sqrt((u - p)^2 - 2 phi (u - p) (q - m) + (q - m)^2)

    It stays an interval where the two differ nowhere, as a bootstrap's does not.

    >>> right, almost = np.arange(200) < 180, np.arange(200) < 178
    >>> tuple(round(end, 4) for end in paired(right, almost))
    (-0.009, 0.0314)
    """
    n = len(first)
    p, q = float(first.mean()), float(second.mean())
    (low, high), (least, most) = (wilson(int(one.sum()), n, confidence) for one in (first, second))
    spread = p * (1 - p) * q * (1 - q)
    phi = (float((first & second).mean()) - p * q) / sqrt(spread) if spread > 0 else 0.0
    sides = ((p - low, most - q), (high - p, q - least))
    below, above = (sqrt(max(0.0, a * a - 2 * phi * a * b + b * b)) for a, b in sides)
    return p - q - below, p - q + above


def counted(metric: Metric, n: int) -> Metric:
    """A metric with Wilson's interval where it is a share of `n` things and has no interval; any other as it is."""
    if metric.interval is not None or metric.unit is not Unit.SHARE:
        return metric
    return replace(metric, interval=wilson(round(metric.value * n), n))


def student(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """The interval for the mean behind a few equally sure numbers (Student, 1908); None for fewer than two.

        mean -+ t s / sqrt(n),  t the two-sided quantile of Student's distribution with n - 1 degrees of freedom

    >>> tuple(round(end, 3) for end in student([1.0, 2.0, 3.0]))
    (-0.484, 4.484)
    """
    from scipy.special import stdtrit

    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it lies between 0 and 1")
    if len(values) < 2:
        return None
    mean = fmean(values)
    reach = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * stdev(values) / sqrt(len(values))
    return mean - reach, mean + reach


def student_of_shares(
    shares: Sequence[float], confidence: float = 0.95, *, least: float = 0.0
) -> tuple[float, float] | None:
    """`student` of a few shares, ended at 0 and 1, beyond which it does not know that none lies; of differences of shares, whose
    `least` is -1, at that.

    >>> student_of_shares([0.9, 0.99])[1]
    1.0
    >>> student_of_shares([-0.9, 0.1], least=-1)[0]
    -1
    """
    ends = student(shares, confidence)
    return None if ends is None else (max(least, ends[0]), min(1.0, ends[1]))


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean of a few equally sure numbers: s / sqrt(n), s with n - 1 in its denominator; None for fewer than two.

    >>> round(standard_error([1.0, 2.0, 3.0]), 4)
    0.5774
    """
    return stdev(values) / sqrt(len(values)) if len(values) > 1 else None


def across(runs: Sequence[Scores]) -> tuple[tuple[Metric, float | None], ...]:
    """Each metric that all runs have, with its mean over them as its value and without an interval, and the standard error of that
    mean: how networks are told that were trained on several divisions of the data, as on Horse-10's three."""
    found = []
    for metric in runs[0].metrics if runs else ():
        values = [one[metric.name] for one in runs if any(metric.name == own.name for own in one.metrics)]
        if len(values) == len(runs):
            found.append((replace(metric, value=fmean(values), interval=None), standard_error(values)))
    return tuple(found)


def bootstrapped(values: np.ndarray, groups: np.ndarray | None = None, draws: int = 1000) -> tuple[float, float]:
    """The 95 % interval of the mean of `values` ⟨n⟩ by a bootstrap over its members, or over their `groups` ⟨n⟩: pictures of one
    individual say less than as many of several. What is drawn is the same every time.

    >>> low, high = bootstrapped(np.array([0.0, 1.0] * 200))
    >>> 0.44 < low < 0.47 and 0.53 < high < 0.56
    True
    """
    # A group's weight in the mean is the number of its members, drawn or not.
    own = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums, sizes = np.bincount(own, values), np.bincount(own)
    rng, n = np.random.default_rng(0), len(sums)
    means = np.empty(draws)
    for draw in range(draws):
        drawn = rng.integers(0, n, n)
        means[draw] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
