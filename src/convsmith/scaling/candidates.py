"""What a scaling study trains: triples of the compound rule, and random shapes for the tiny formula."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import product

from ..arch import ArchSpec
from ..units import Budget, Cost
from .compound import Compound
from .front import Point
from .rule import offspring
from .solve import solve
from .tiny import width_solve

__all__ = ["sampled", "triples", "twice"]


def triples() -> tuple[Compound, ...]:
    """Every (alpha, beta, gamma) on a grid of 0.05 from 1 to 1.6 with |alpha * beta**2 * gamma**2 - 2| <= 0.1.

    The paper searches "a small grid" under alpha * beta**2 * gamma**2 ~ 2 and prints neither step nor tolerance; with
    these there are 92, and its own (1.2, 1.1, 1.15) is one of them.
    """
    steps = [round(1 + 0.05 * i, 2) for i in range(13)]
    found = (Compound(alpha, beta, gamma) for alpha, beta, gamma in product(steps, repeat=3))
    return tuple(one for one in found if abs(one.alpha * one.beta**2 * one.gamma**2 - 2) <= 0.1)


def apart(n: int, rng: random.Random) -> tuple[Compound, ...]:
    """`n` triples as far apart as can be: the paper's first, then each time the one farthest from those chosen."""
    left = list(triples())
    rng.shuffle(left)  # ties
    chosen = [Compound()]
    left.remove(chosen[0])

    def place(rule: Compound) -> tuple[float, float, float]:
        # Shares of the doubling that depth, width and resolution take.
        whole = math.log(rule.alpha * rule.beta**2 * rule.gamma**2)
        return math.log(rule.alpha) / whole, 2 * math.log(rule.beta) / whole, 2 * math.log(rule.gamma) / whole

    while left and len(chosen) < n:
        farthest = max(left, key=lambda rule: min(math.dist(place(rule), place(one)) for one in chosen))
        chosen.append(farthest)
        left.remove(farthest)
    return tuple(chosen[:n])


def twice(rule: Compound, base: ArchSpec, cost: Callable[[ArchSpec], Cost], times: float = 2.0) -> ArchSpec:
    """The rule's member at `times` the base's counted cost. Equal nominal phi would differ by up to a third in cost."""
    found = solve(rule, base, Budget(macs=times * cost(base).macs), cost)
    return replace(found.spec, name=offspring(base, f"{rule.alpha:g}", f"{rule.beta:g}", f"{rule.gamma:g}"))


def sampled(
    base: ArchSpec, n: int, rng: random.Random, cost: Callable[[ArchSpec], Cost], *, least: float = 0.05
) -> list[tuple[Point, ArchSpec]]:
    """`n` random shapes of `base` for the tiny formula, their costs spread evenly in ln c from `least` to 1.05.

    r and d are drawn log-uniformly from [0.4, 1.2] and [0.4, 1.6] and w is solved for the share of cost; a draw whose w
    lies outside [0.3, 2] is drawn again. The paper draws r, d and w at random under limits on the cost; its ranges are not
    known to us. Each point's accuracy is 0 until it is trained.
    """
    whole, found = cost(base).macs, list[tuple[Point, ArchSpec]]()
    for i in range(n):
        share = math.exp(math.log(least) + (i + 0.5) / n * (math.log(1.05) - math.log(least)))
        for _ in range(200):
            r, d = (math.exp(rng.uniform(math.log(low), math.log(high))) for low, high in ((0.4, 1.2), (0.4, 1.6)))
            made, w = width_solve(base, share * whole, depth=d, resolution=r)
            macs = cost(made).macs
            if 0.3 <= w <= 2 and 0.9 * share <= macs / whole <= 1.05:
                break
        else:
            continue  # a base whose fixed parts cost more than the share has no such shape
        named = replace(made, name=offspring(base, f"r{r:.2f}", f"d{d:.2f}", f"w{w:.2f}"))
        found.append((Point(r, d, w, macs / whole, 0.0), named))
    return found
