"""Pareto fronts of cost and accuracy: what the tiny formula is fitted to (Han et al., 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Point", "fronts", "undominated"]


@dataclass(frozen=True)
class Point:
    """One trained network: its factors against the base, its cost as a share of the base's, and its accuracy in [0, 1]."""

    resolution: float
    depth: float
    width: float
    share: float
    accuracy: float


def undominated(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Indices of the points that no other dominates, by rising cost.

    i dominates j when cost_i <= cost_j and score_i >= score_j, one of them strictly; so of equal points all are kept.
    """
    order = sorted(range(len(costs)), key=lambda i: (costs[i], -scores[i]))
    kept: list[int] = []
    for i in order:
        last = kept[-1] if kept else None
        if last is None or scores[i] > scores[last] or (scores[i], costs[i]) == (scores[last], costs[last]):
            kept.append(i)
    return kept


def fronts(costs: Sequence[float], scores: Sequence[float], share: float) -> list[int]:
    """Indices of the first fronts that hold at least `share` of all points: front 1, then what is undominated without it."""
    if not 0 < share <= 1:
        raise ValueError(f"the share of points to keep must be in (0, 1]; got {share}")
    left, kept = list(range(len(costs))), list[int]()
    while left and len(kept) < share * len(costs) - 1e-9:
        found = [left[k] for k in undominated([costs[i] for i in left], [scores[i] for i in left])]
        kept += found
        left = [i for i in left if i not in set(found)]
    return kept
