"""Which children to hand over: coarse to fine, as BigNAS picks them, or a front of the whole space."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from ..errors import UserError
from ..evolution import Generation, Scored, evolve, nsga2, reward
from .space import Genes, Space

__all__ = ["Selected", "best_within", "coarse_to_fine", "moved", "nondominated", "rewarded", "skeletons"]

# Levels of depth, width, kernel and expansion that a skeleton may have, as shares of the way from the least to the most.
DEPTHS, WIDTHS, KERNELS, EXPANSIONS = (0.0, 1 / 3, 2 / 3, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)
# How many of the best a budget's mutations start from: ties and near-ties are explored, not the first of them alone.
PARENTS = 8
# Children drawn in the hope that one is within a budget that admits no skeleton but the smallest.
DRAWN = 256

Score = Callable[[Sequence[Genes]], Sequence[float]]


@dataclass(frozen=True)
class Selected:
    """What a budget's search found, the best first, and how many children were scored for it after the skeletons."""

    best: tuple[tuple[Genes, float], ...]
    tried: int


def skeletons(space: Space) -> tuple[Genes, ...]:
    """The coarse grid: every resolution with all stages at one level of depth, of width, of kernel and of expansion.

    Stem and head go with the width. Axes without a choice add nothing; of equal children one is kept.
    """
    found: dict[Genes, None] = {}
    for side, *levels in product(space.axes[0].values, DEPTHS, WIDTHS, KERNELS, EXPANSIONS):
        level = dict(zip(("depth", "width", "kernel", "expand"), levels, strict=True))
        level |= {"stem": level["width"], "head": level["width"]}
        genes = [side]
        for axis in space.axes[1:]:
            share = level[axis.name.rpartition(".")[2]]
            genes.append(axis.values[round(share * (len(axis.values) - 1))])
        found[tuple(genes)] = None
    return tuple(found)


def moved(space: Space, genes: Genes, rng: random.Random, *, rate: float = 0.1) -> Genes:
    """`Space.mutate` on genes: each axis moves with probability `rate` to another of its values, one at least."""
    free = [index for index, axis in enumerate(space.axes) if len(axis.values) > 1]
    chosen = [index for index in free if rng.random() < rate] or ([rng.choice(free)] if free else [])
    new = list(genes)
    for index in chosen:
        new[index] = rng.choice([value for value in space.axes[index].values if value != genes[index]])
    return tuple(new)


def coarse_to_fine(
    space: Space,
    score: Score,
    budgets: Mapping[str, Callable[[Genes], bool]],
    rng: random.Random,
    *,
    rounds: int,
    per_round: int,
    rate: float = 0.1,
) -> dict[str, Selected]:
    """For each budget the children that score best within it (Yu et al., 2020, "coarse-to-fine architecture selection").

    The skeletons are scored once, for all budgets. Then, budget by budget, the best within it are mutated, `per_round` at a
    time for `rounds` rounds, and those within the budget are scored. `score` gets each child once. What one budget finds
    counts for all that admit it, so a wider budget is never left with less.

    Raises:
        UserError: a budget that not even the smallest child meets, by its name.
    """
    least = tuple(axis.values[0] for axis in space.axes)
    for name, admits in budgets.items():
        if not admits(least):
            raise UserError(f"no network of {space.base.name}'s space meets {name}: the smallest is beyond it")
    known: dict[Genes, float] = {}

    def scores(wanted: Sequence[Genes]) -> list[tuple[float, ...]]:
        new = [genes for genes in wanted if genes not in known]
        known.update(zip(new, score(new) if new else (), strict=True))
        return [(known[genes],) for genes in wanted]

    grid = skeletons(space)
    scores([genes for genes in grid if any(admits(genes) for admits in budgets.values())])
    tried = {}
    for name, admits in budgets.items():
        before = len(known)
        start = [genes for genes in dict.fromkeys((*grid, *known)) if admits(genes)]
        if len(start) < PARENTS:  # a budget between the smallest child and the next skeleton
            drawn = (tuple(rng.choice(axis.values) for axis in space.axes) for _ in range(DRAWN))
            start += list(islice((genes for genes in drawn if admits(genes)), PARENTS - len(start)))
        steps = evolve(
            start,
            lambda genes, rng: moved(space, genes, rng, rate=rate),
            scores,
            admits,
            rng,
            size=PARENTS,
            offspring=per_round,
        )
        for _ in islice(steps, rounds + 1):
            pass
        tried[name] = len(known) - before
    return {name: Selected(best_within(known, admits), tried[name]) for name, admits in budgets.items()}


def best_within(known: Mapping[Genes, float], admits: Callable[[Genes], bool]) -> tuple[tuple[Genes, float], ...]:
    """Those of `known` that a budget admits and whose score is a number: the best few, the best first.

    Of equal scores the smaller genes come first, whoever was scored first.
    """
    sane = sorted((one for one in known.items() if math.isfinite(one[1])), key=lambda one: (-one[1], one[0]))
    return tuple(islice((one for one in sane if admits(one[0])), PARENTS))


def rewarded(
    space: Space,
    score: Score,
    share: Callable[[Genes], float],
    rng: random.Random,
    *,
    rounds: int,
    per_round: int,
    rate: float = 0.1,
) -> None:
    """Score children in search of the largest `reward` of accuracy and cost, the soft form, from the skeletons on.

    `share` is a child's cost as a share of what it may cost. The budget is a wish and no limit here: children a little
    beyond it are bred from, too. What was seen is for `score` to remember.
    """

    def valued(wanted: Sequence[Genes]) -> list[tuple[float, ...]]:
        return [(reward(own, share(genes), 1.0),) for genes, own in zip(wanted, score(wanted), strict=True)]

    steps = evolve(
        skeletons(space),
        lambda genes, rng: moved(space, genes, rng, rate=rate),
        valued,
        lambda genes: True,
        rng,
        size=PARENTS,
        offspring=per_round,
    )
    _last(islice(steps, rounds + 1))


def nondominated(
    space: Space,
    score: Score,
    cost: Callable[[Genes], float],
    rng: random.Random,
    *,
    size: int = 32,
    rounds: int = 8,
    rate: float = 0.1,
) -> tuple[Scored[Genes], ...]:
    """A front of the whole space by NSGA-II: scores (accuracy, -cost), the cheapest first."""

    def both(wanted: Sequence[Genes]) -> list[tuple[float, ...]]:
        return [(own, -cost(genes)) for genes, own in zip(wanted, score(wanted), strict=True)]

    steps = evolve(
        skeletons(space),
        lambda genes, rng: moved(space, genes, rng, rate=rate),
        both,
        lambda genes: True,
        rng,
        size=size,
        offspring=size,
        select=nsga2,
    )
    return tuple(sorted(_last(islice(steps, rounds + 1)).members, key=lambda one: -one.scores[1]))


def _last(generations: islice[Generation[Genes]]) -> Generation[Genes]:
    *_, last = generations
    return last
