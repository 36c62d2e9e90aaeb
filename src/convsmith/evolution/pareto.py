"""What is best where there are several aims. Scores are tuples of which more is better."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["crowding", "dominates", "front", "ranks"]

Scores = tuple[float, ...]


def dominates(one: Scores, other: Scores) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and one != other


def front(scores: Sequence[Scores]) -> list[int]:
    """The numbers of those that none dominates, in their order; of equals all."""
    return [i for i, own in enumerate(scores) if not any(dominates(other, own) for other in scores)]


def ranks(scores: Sequence[Scores]) -> list[int]:
    """0 for the front, 1 for the front of what is left without it, and so on."""
    found = [-1] * len(scores)
    left, level = list(range(len(scores))), 0
    while left:
        for i in [left[j] for j in front([scores[i] for i in left])]:
            found[i] = level
        left, level = [i for i in left if found[i] < 0], level + 1
    return found


def crowding(scores: Sequence[Scores]) -> list[float]:
    """How far each is from its neighbours on either side, summed over the aims as shares of their ranges; the ends infinitely.

    The crowding distance of NSGA-II (Deb et al., 2002), for scores of one front.
    """
    alone = [0.0] * len(scores)
    for aim in range(len(scores[0]) if scores else 0):
        order = sorted(range(len(scores)), key=lambda i: scores[i][aim])
        alone[order[0]] = alone[order[-1]] = math.inf
        width = scores[order[-1]][aim] - scores[order[0]][aim]
        for before, own, after in zip(order, order[1:], order[2:], strict=False):
            if width > 0:
                alone[own] += (scores[after][aim] - scores[before][aim]) / width
    return alone
