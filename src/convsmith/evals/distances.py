"""How far one set of feature vectors is from another, as distributions, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["class_score", "frechet", "kernel", "resampled", "split_scores", "with_interval"]

Interval = tuple[float, float]
# Draws of a bootstrap, of which only the standard deviation is taken: it is then known to 7 %; of more than so many features, where
# each draw takes seconds, to 16 %.
_DRAWS, _FEW_DRAWS, _MANY_FEATURES = 100, 20, 400


def frechet(a: np.ndarray, b: np.ndarray, weights: tuple[np.ndarray, np.ndarray] | None = None) -> float:
    """The Fréchet distance of two normal distributions with the means and covariances of `a` and `b` ⟨n,d⟩:

        |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)),   C with n - 1

    `weights` say how often each row counts. With A, B such that A'A = C_a and B'B = C_b the last trace is the sum of the singular
    values of AB': the roots of the eigenvalues of C_a^(1/2) C_b C_a^(1/2), without a root of anything that rounding has made. The
    distance is the larger the fewer rows there are (two samples of one distribution are apart by some d^2 / n), and says something
    only beside that of real things against other real ones, of as many rows. Source: Heusel et al. (2017).
    """
    (mean_a, root_a), (mean_b, root_b) = (_moments(x, w) for x, w in zip((a, b), weights or (None, None), strict=True))
    shared = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    return float(((mean_a - mean_b) ** 2).sum() + (root_a**2).sum() + (root_b**2).sum() - 2 * shared)


def _moments(x: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The mean ⟨d⟩, and what the covariance ⟨d,d⟩ is the square of: at most d rows."""
    x = np.asarray(x, np.float64)
    n = len(x)
    w = np.ones(n) if weights is None else weights.astype(np.float64)
    mean = w @ x / n
    rows = (x - mean) * np.sqrt(w / max(1, n - 1))[:, None]
    if n > x.shape[1]:
        rows = np.asarray(np.linalg.qr(rows, mode="r"))
    return mean, rows


def kernel(a: np.ndarray, b: np.ndarray) -> float:
    """The squared distance of two samples `a`, `b` ⟨n,d⟩ by the kernel k(x, y) = (x.y / d + 1)^3, without bias:

        mean_{i != j} k(a_i, a_j) + mean_{i != j} k(b_i, b_j) - 2 mean k(a_i, b_j)

    Of samples of one distribution its mean is 0 whatever n is, and it may be below. Source: Binkowski et al. (2018).
    """
    return _Kernels(a, b).distance(np.ones(len(a)), np.ones(len(b)))


class _Kernels:
    """The three matrices of kernels, reckoned once."""

    def __init__(self, a: np.ndarray, b: np.ndarray) -> None:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        self._aa, self._bb, self._ab = ((x @ y.T / a.shape[1] + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))

    def distance(self, in_a: np.ndarray, in_b: np.ndarray) -> float:
        """With each row as often as the weights say; a row is no pair with itself, however often it is there."""
        across = float(in_a @ self._ab @ in_b) / float(in_a.sum() * in_b.sum())
        return _within(self._aa, in_a) + _within(self._bb, in_b) - 2 * across


def _within(matrix: np.ndarray, weights: np.ndarray) -> float:
    own = weights**2
    return float(weights @ matrix @ weights - own @ matrix.diagonal()) / float(weights.sum() ** 2 - own.sum())


def resampled(
    distance: Callable[[np.ndarray, np.ndarray], float], n: int, m: int, *, seed: int = 0, draws: int = _DRAWS
) -> float:
    """The standard deviation of a distance of two samples of n and m rows, by a bootstrap over the rows of both. `distance` takes
    how often each row counts."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        in_a, in_b = (np.bincount(rng.integers(0, size, size), minlength=size) for size in (n, m))
        found.append(distance(in_a.astype(np.float64), in_b.astype(np.float64)))
    return float(np.std(found, ddof=1))


def with_interval(
    which: Callable[[np.ndarray, np.ndarray], float], a: np.ndarray, b: np.ndarray
) -> tuple[float, Interval]:
    """The distance `which`, `frechet` or `kernel`, and its 95 % interval: -+ 1.96 times the standard deviation of a bootstrap.

    Not the bootstrap's own quantiles: what is drawn twice makes samples smaller, which moves all of its values up.
    """
    if which is kernel:
        once = _Kernels(a, b)
        value = once.distance(np.ones(len(a)), np.ones(len(b)))
        spread = resampled(once.distance, len(a), len(b))
    else:
        value = frechet(a, b)
        draws = _FEW_DRAWS if a.shape[1] > _MANY_FEATURES else _DRAWS
        spread = resampled(lambda in_a, in_b: frechet(a, b, (in_a, in_b)), len(a), len(b), draws=draws)
    return value, (value - 1.96 * spread, value + 1.96 * spread)


def class_score(shares: np.ndarray) -> float:
    """exp(mean_x KL(p(y|x) || p(y))) of a classifier's `shares` ⟨n,classes⟩, p(y) being their mean: the number of classes where
    each is sure and all are as many, 1 where all are alike. Blind to what differs within a class.

    It is the Inception Score (Salimans et al., 2016) where the classifier is the Inception v3 of 2015, of 50,000 images in tenths.
    """
    shares = np.asarray(shares, np.float64)
    mean = shares.mean(0)
    tiny = np.finfo(np.float64).tiny
    return float(np.exp((shares * (np.log(shares.clip(tiny)) - np.log(mean.clip(tiny)))).sum(1).mean()))


def split_scores(shares: np.ndarray, splits: int = 10) -> tuple[float, ...]:
    """The `class_score` of each of `splits` parts of `shares` ⟨n,classes⟩, one after another and as large as each other; of as many
    as there are rows where these are fewer. The Inception Score is told as their mean. Source: Salimans et al. (2016)."""
    return tuple(class_score(part) for part in np.array_split(shares, min(splits, len(shares))))
