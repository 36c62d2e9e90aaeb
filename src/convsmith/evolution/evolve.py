"""Evolution as a generator: generations of scored items, for whoever asks for the next one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from ..errors import UserError
from .pareto import crowding, ranks

__all__ = ["Generation", "Scored", "Select", "best", "evolve", "nsga2"]

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class Scored(Generic[T]):
    """An item and its scores, one for each aim; more is better."""

    item: T
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Generation(Generic[T]):
    """The items kept after generation `index`, the best first, and those that were new in it. The start is number 0."""

    index: int
    members: tuple[Scored[T], ...]
    born: tuple[Scored[T], ...]


# Which of many are kept, the best first: at most as many as the number says.
Select = Callable[[Sequence[Scored[T]], int], list[Scored[T]]]


def best(scored: Sequence[Scored[T]], size: int) -> list[Scored[T]]:
    """Those with the largest first score; of equals, those that came first."""
    return sorted(scored, key=lambda one: -one.scores[0])[:size]


def nsga2(scored: Sequence[Scored[T]], size: int) -> list[Scored[T]]:
    """Those that fewest ranks of others dominate, within a rank the loneliest (Deb et al., 2002); of equals the first."""
    values = [one.scores for one in scored]
    rank = ranks(values)
    alone = [0.0] * len(values)
    for level in set(rank):
        own = [i for i, r in enumerate(rank) if r == level]
        for i, distance in zip(own, crowding([values[i] for i in own]), strict=True):
            alone[i] = distance
    order = sorted(range(len(values)), key=lambda i: (rank[i], -alone[i]))
    return [scored[i] for i in order[:size]]


def evolve(
    population: Sequence[T],
    mutate: Callable[[T, random.Random], T],
    score: Callable[[Sequence[T]], Sequence[tuple[float, ...]]],
    admits: Callable[[T], bool],
    rng: random.Random,
    *,
    size: int,
    offspring: int,
    select: Select[T] = best,
    tries: int = 20,
) -> Iterator[Generation[T]]:
    """Generation after generation, without end: keep the best `size`, mutate them into `offspring` new ones, score these.

    `admits` is cheap and asked first, `score` is dear and gets each item once, all new ones of a generation together, so
    that it may spread them over processes. Nothing but `rng` is drawn from: with the same seed and scores the generations
    are the same, so a search whose `score` remembers what it gave goes on where it was stopped by running again.

    An item that is refused or known is drawn anew, `tries` times; a generation may have fewer new ones than `offspring`, or
    none. An item with a score that is not finite is never kept.

    Raises:
        UserError: nothing in `population` is admitted, or nothing of it has finite scores.
    """
    if size < 1 or offspring < 0 or tries < 1:
        raise UserError(f"evolution keeps at least one and tries at least once; got size={size}, tries={tries}")
    fresh = [item for item in dict.fromkeys(population) if admits(item)]
    if not fresh:
        raise UserError(f"none of the {len(population)} items to begin with is admitted")
    known = set(fresh)
    members: list[Scored[T]] = []
    for index in count():
        born = tuple(
            Scored(item, tuple(given)) for item, given in zip(fresh, score(fresh) if fresh else (), strict=True)
        )
        sane = [one for one in born if all(math.isfinite(value) for value in one.scores)]
        members = select([*members, *sane], size)
        if not members:
            raise UserError(f"none of the {len(born)} items to begin with has finite scores")
        yield Generation(index, tuple(members), born)
        fresh = []
        for _ in range(offspring):
            for _ in range(tries):
                item = mutate(rng.choice(members).item, rng)
                if item not in known and admits(item):
                    fresh.append(item)
                    known.add(item)
                    break
