"""Distances of distributions: closed forms, published numbers, and what an honest interval covers."""

from __future__ import annotations

import numpy as np
import pytest

from convsmith.evals.distances import class_score, frechet, kernel, resampled, with_interval


def having(mean: list[float], covariance: np.ndarray, n: int = 64, seed: int = 0) -> np.ndarray:
    """Rows that have exactly this mean and, with n - 1, this covariance."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, len(mean)))
    rows -= rows.mean(0)
    own = rows.T @ rows / (n - 1)
    return rows @ np.linalg.inv(np.linalg.cholesky(own)).T @ np.linalg.cholesky(covariance).T + mean


EYE = np.eye(4)
ZERO = [0.0] * 4


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        (having(ZERO, EYE), having([1.0, 2.0, 0.0, 0.0], EYE, 80, 1), 5.0),
        (having(ZERO, EYE), having(ZERO, 4 * EYE, 80, 1), 4.0),
        (having(ZERO, np.diag([1.0, 4, 9, 16])), having(ZERO, np.diag([4.0, 1, 9, 25]), 80, 1), 3.0),
        (
            having([0.0, 0.0], np.array([[2.0, 1], [1, 2]])),
            having([0.0, 0.0], np.diag([1.0, 3.0]), 80, 1),
            0.5166852265,
        ),
    ],
    ids=["means", "scales", "diagonal", "two by two"],
)
def test_the_frechet_distance_of_normals_is_its_closed_form(a: np.ndarray, b: np.ndarray, distance: float) -> None:
    assert frechet(a, b) == pytest.approx(distance, abs=1e-9)
    assert frechet(b, a) == pytest.approx(distance, abs=1e-9)
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((a.shape[1], a.shape[1])))[0]
    assert frechet(a @ turn, b @ turn) == pytest.approx(distance, abs=1e-9)


def test_equal_sets_are_0_apart_with_fewer_rows_than_features_too() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 64))
    assert frechet(rows, rows) == pytest.approx(0, abs=1e-10)
    full = np.random.default_rng(0).standard_normal((200, 64))
    assert frechet(full, full) == pytest.approx(0, abs=1e-10)


def test_the_trace_is_that_of_two_symmetric_eigenproblems() -> None:
    """The other derivation: roots of the eigenvalues of C_a^(1/2) C_b C_a^(1/2), with fewer and with more rows than features."""
    rng = np.random.default_rng(0)
    for n in (12, 60):
        a, b = rng.standard_normal((n, 20)), 2 * rng.standard_normal((n + 5, 20)) + 0.3
        covariances = np.cov(a.T), np.cov(b.T)
        values, vectors = np.linalg.eigh(covariances[0])
        root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
        shared = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(0)).sum()
        apart = ((a.mean(0) - b.mean(0)) ** 2).sum() + sum(map(np.trace, covariances)) - 2 * shared
        assert frechet(a, b) == pytest.approx(apart, rel=1e-6)
        often = np.bincount(rng.integers(0, n, n), minlength=n)
        repeated = frechet(np.repeat(a, often, axis=0), b)
        assert frechet(a, b, (often.astype(float), np.ones(n + 5))) == pytest.approx(repeated, rel=1e-9)


def test_the_frechet_distance_of_two_samples_of_one_distribution_is_not_0() -> None:
    """What makes a floor necessary. Known: 4.4 of 64 features and 500 rows; that of twice as many rows is about half."""
    rng = np.random.default_rng(0)
    found = {n: np.mean([frechet(*rng.standard_normal((2, n, 64))) for _ in range(3)]) for n in (500, 1000)}
    assert found[500] == pytest.approx(4.4, rel=0.1) and 0.4 < found[1000] / found[500] < 0.6


def test_the_kernel_distance_of_one_distribution_is_0_in_the_mean_and_of_a_set_with_itself_below() -> None:
    rng = np.random.default_rng(0)
    found = [kernel(*rng.standard_normal((2, 50, 8))) for _ in range(200)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(200)  # three standard errors
    assert kernel(x := rng.standard_normal((50, 8)), x) < 0
    assert kernel(x, x + 1) > 5 * np.std(found)


def test_the_kernel_distance_is_its_definition() -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 7, 3))
    k = [[(x @ y / 3 + 1) ** 3 for y in (*a, *b)] for x in (*a, *b)]
    own = [np.mean([k[i + s][j + s] for i in range(7) for j in range(7) if i != j]) for s in (0, 7)]
    across = np.mean([k[i][j + 7] for i in range(7) for j in range(7)])
    assert kernel(a, b) == pytest.approx(sum(own) - 2 * across, rel=1e-12)


@pytest.mark.parametrize("which", [frechet, kernel])
def test_an_interval_is_as_wide_as_the_distance_varies(which: object) -> None:
    """The standard deviation of a distance over new samples, against half the interval over 1.96: within a third."""
    rng = np.random.default_rng(0)

    def pair() -> tuple[np.ndarray, np.ndarray]:
        return rng.standard_normal((150, 4)), 1.5 * rng.standard_normal((150, 4))

    true = np.std([which(*pair()) for _ in range(150)], ddof=1)  # type: ignore[operator]
    found = []
    for _ in range(6):
        value, (low, high) = with_interval(which, *pair())  # type: ignore[arg-type]
        assert (low + high) / 2 == pytest.approx(value)
        found.append((high - low) / 2 / 1.96)
    assert np.mean(found) == pytest.approx(true, rel=1 / 3)


def test_a_bootstrap_draws_the_same_every_time() -> None:
    once, again = (resampled(lambda a, b: float(a[0] - b[0]), 20, 30) for _ in range(2))
    assert once == again > 0


def test_the_class_score_is_between_1_and_the_number_of_classes() -> None:
    assert class_score(np.eye(10)[np.arange(50) % 10]) == pytest.approx(10)
    assert class_score(np.full((20, 10), 0.1)) == pytest.approx(1)
    assert class_score(np.eye(10)[np.zeros(9, int)]) == pytest.approx(1)
    assert class_score(np.array([[0.8, 0.2], [0.2, 0.8]])) == pytest.approx(1.2125732532, abs=1e-9)
