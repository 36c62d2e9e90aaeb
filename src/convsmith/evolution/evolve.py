"""Evolution as a generator: generations of scored items, for whoever asks for the next one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from ..errors import UserError
from .pareto import crowding, front, ranks

__all__ = ["Generation", "Parent", "Scored", "Select", "best", "evolve", "nsga2", "tournament", "uniform", "youngest"]

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class Scored(Generic[T]):
    """An item and its scores, one for each aim; more is better."""

    item: T
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Generation(Generic[T]):
    """The items kept after generation `index`, in the order of what selected them, and those that were new in it. The start is
    number 0."""

    index: int
    members: tuple[Scored[T], ...]
    born: tuple[Scored[T], ...]


# Which of many are kept, usually the best first: at most as many as the number says. Those that came first are the oldest.
Select = Callable[[Sequence[Scored[T]], int], list[Scored[T]]]
# Which of those that are kept is mutated next.
Parent = Callable[[Sequence[Scored[T]], random.Random], Scored[T]]


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


def youngest(scored: Sequence[Scored[T]], size: int) -> list[Scored[T]]:
    """Those that came last, whatever their scores (Real et al., 2019): who had luck once lives on through its children only."""
    return list(scored[-size:])


def uniform(members: Sequence[Scored[T]], rng: random.Random) -> Scored[T]:
    """Any member, as likely as another."""
    return rng.choice(members)


def tournament(size: int, winners: Callable[[Sequence[tuple[float, ...]]], Sequence[int]] = front) -> Parent[T]:
    """One of the winners among `size` members drawn without replacement, each as likely as another.

    `winners` says by their scores which of them win, by numbers; by default those that none dominates, so that a member
    that is best at one aim has children however poor it is at the others (Liu et al., 2020).
    """
    if size < 1:
        raise UserError(f"a tournament has at least one member; got {size}")

    def parent(members: Sequence[Scored[T]], rng: random.Random) -> Scored[T]:
        drawn = rng.sample(range(len(members)), min(size, len(members)))
        return members[drawn[rng.choice(winners([members[i].scores for i in drawn]))]]

    return parent


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
    parent: Parent[T] = uniform,
    tries: int = 20,
) -> Iterator[Generation[T]]:
    """Generation after generation, without end: keep `size` of all by `select`, mutate those that `parent` chooses among them
    into `offspring` new ones, score these.

    `admits` is cheap and asked first, `score` is dear and gets each item once, all new ones of a generation together, so
    that it may spread them over processes. Nothing but `rng` is drawn from: with the same seed and scores the generations
    are the same, so a search whose `score` remembers what it gave goes on where it was stopped by running again.

    An item that is refused or known is drawn anew, from a parent chosen anew, `tries` times; a generation may have fewer new
    ones than `offspring`, or none. An item with a score that is not finite is never kept.

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
                item = mutate(parent(members, rng).item, rng)
                if item not in known and admits(item):
                    fresh.append(item)
                    known.add(item)
                    break
