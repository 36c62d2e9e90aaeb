"""Random networks of every family: what a machine is calibrated on, and what a prediction is checked on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..arch import ArchSpec, grown
from ..costs import cost
from ..families import FAMILIES, TASKS
from ..units import Rounding

__all__ = ["members"]

# What people put on the devices this is for; below, a runtime's own overhead is all there is to see.
LEAST_MACS, MOST_MACS = 5e6, 1.5e9
_SIDES = (48, 288)


def members(n: int, rng: np.random.Generator, *, shallow: bool = False) -> tuple[ArchSpec, ...]:
    """`n` networks, families in turn: a member of one, in depth, width and resolution scaled to a random number of MACs.

    MACs are log-uniform from 5 M to 1.5 G. Widths are multiples of 8. `shallow` ones have one or two blocks a stage: they
    hold as many different kernels as deep ones and are made in a fraction of the time. Networks with a neck are left out: what runs
    many times for an image is outside what is predicted. So are those that are no classifiers: the profiler shows images.
    """
    found: list[ArchSpec] = []
    families = [
        name for name, family in FAMILIES.items() if name not in TASKS and all(one.neck is None for one in family())
    ]
    while len(found) < n:
        if len(found) % len(families) == 0:
            rng.shuffle(families)
        pool = FAMILIES[families[len(found) % len(families)]]()
        made = _scaled(pool[rng.integers(len(pool))], rng, shallow=shallow)
        if made is not None:
            found.append(made)
    return tuple(found)


def _scaled(base: ArchSpec, rng: np.random.Generator, *, shallow: bool) -> ArchSpec | None:
    target = float(np.exp(rng.uniform(np.log(LEAST_MACS), np.log(MOST_MACS))))
    depth, width = np.exp2(rng.uniform((-2.0, -1.5), (0.0, 0.5)))
    shaped = grown(base, depth=float(depth), width=float(width), rounding=Rounding())
    if shallow:
        stages = tuple(replace(stage, depth=min(stage.depth, int(rng.integers(1, 3)))) for stage in shaped.stages)
        shaped = replace(shaped, stages=stages)
    # MACs go with the area: two steps of the secant land within a few percent, which is near enough to be random.
    side = float(base.input.resolution)
    for _ in range(2):
        side = float(np.clip(side * (target / cost(shaped.with_resolution(round(side))).macs) ** 0.5, *_SIDES))
    made = shaped.with_resolution(round(side)).with_classes(int(rng.choice((10, 100, 1000))))
    made = replace(made, name=f"{base.name}-{rng.integers(1 << 30):08x}")
    return made if LEAST_MACS <= cost(made).macs <= MOST_MACS else None
