"""Which children are trained, or looked at: drawn evenly over genes, over cost, or within a band of one cost."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from ..arch import ArchSpec
from ..recipe import Drawn
from .counting import Counting
from .space import Genes, Space

__all__ = ["DRAWS", "Draw", "drawn", "drawn_by_cost", "near", "over_cost", "within_band"]

# Tries for a child of a wanted cost, and how near, as a share of it, is near enough.
TRIES, NEAR = 64, 0.05


class Draw(Protocol):
    """Which children a step has beside the biggest; a function of its arguments alone."""

    def __call__(self, space: Space, *, seed: int, step: int, randoms: int) -> tuple[ArchSpec, ...]: ...


def drawn(space: Space, *, seed: int, step: int, randoms: int) -> tuple[ArchSpec, ...]:
    """The children of a step beside the biggest: `randoms` drawn ones, and the smallest last.

    Depends on seed and step alone, so every process of a run, and a resumed run, draws the same.
    """
    rng = random.Random(f"{seed} {step}")
    return (*(space.sample(rng) for _ in range(randoms)), space.smallest())


def drawn_by_cost(space: Space, *, seed: int, step: int, randoms: int) -> tuple[ArchSpec, ...]:
    """As `drawn`, evenly over the logarithm of multiply-adds: budgets are told apart by ratios. The children's genes depend on
    each other, as those of networks of one cost do."""
    rng = random.Random(f"{seed} {step}")
    low, high = _ends(space)
    macs = [math.exp(rng.uniform(math.log(low), math.log(high))) for _ in range(randoms)]
    return (*(space.spec(near(space, one, rng)) for one in macs), space.smallest())


DRAWS: Mapping[Drawn, Draw] = MappingProxyType({Drawn.GENES: drawn, Drawn.COST: drawn_by_cost})


def near(space: Space, macs: float, rng: random.Random, *, within: float = NEAR) -> Genes:
    """Genes drawn until their child's multiply-adds are `within` that share of `macs`; after some tries the nearest drawn.

    For each try a level between 0 and 1 is drawn, and the place on every axis is binomial about it: cheap and dear children
    are as easily found as those between.
    """
    counting, best, off = _counting(space), tuple[float, ...](), math.inf
    for _ in range(TRIES):
        level = rng.random()
        genes = tuple(axis.values[sum(rng.random() < level for _ in axis.values[1:])] for axis in space.axes)
        if (own := abs(counting(genes).macs / macs - 1)) < off:
            best, off = genes, own
        if off <= within:
            break
    return best


def over_cost(space: Space, n: int, rng: random.Random) -> tuple[Genes, ...]:
    """`n` children spread evenly over the logarithm of multiply-adds, both ends among them, the cheapest first. Fewer in a space
    that has no more."""
    low, high = _ends(space)
    found = dict.fromkeys([tuple(axis.values[0] for axis in space.axes)])
    for at in range(1, n - 1):
        found[near(space, low * (high / low) ** (at / (n - 1)), rng)] = None
    found[tuple(axis.values[-1] for axis in space.axes)] = None
    return tuple(sorted(found, key=lambda genes: (_counting(space)(genes).macs, genes)))


def within_band(space: Space, macs: float, n: int, rng: random.Random, *, band: float = 0.1) -> tuple[Genes, ...]:
    """Up to `n` different children whose multiply-adds are within the share `band` of `macs`; fewer where few are found."""
    counting, found = _counting(space), dict[Genes, None]()
    for _ in range(8 * n):
        genes = near(space, macs, rng, within=band)
        if abs(counting(genes).macs / macs - 1) <= band:
            found[genes] = None
        if len(found) == n:
            break
    return tuple(found)


def _ends(space: Space) -> tuple[int, int]:
    counting = _counting(space)
    low, high = (tuple(axis.values[end] for axis in space.axes) for end in (0, -1))
    return counting(low).macs, counting(high).macs


@lru_cache(maxsize=8)
def _counting(space: Space) -> Counting:
    return Counting(space)
