"""A small detector, what its parts cost, and how many weights modules have."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from torch import nn

from convsmith.arch import ArchSpec, plan
from convsmith.costs import node_costs
from convsmith.families import spec
from convsmith.parts import EvoNorm, EvoNormKind, detector

__all__ = ["S0", "parts_of", "small", "weights_in"]

S0 = EvoNorm(variant=EvoNormKind.S0)


def small(trunk: str = "resnet18", side: int = 64, **choices: object) -> ArchSpec:
    """A detector whose weights fit anywhere."""
    narrow = {"width": 16, "fc_width": 24, "regions": 30, "kept": 5, "box_convs": 1, "mask_convs": 1}
    return detector(spec(trunk).with_resolution(side), 3, **{**narrow, **choices})


@cache
def parts_of(arch: ArchSpec) -> dict[str, tuple[int, int]]:
    """Parameters and multiply-adds of the trunk, the neck, and each of the head's three networks."""
    found: dict[str, tuple[int, int]] = {}
    for node, one in zip(plan(arch), node_costs(arch), strict=True):
        first, _, rest = node.path.partition(".")
        name = {"neck": "neck", "head": rest}.get(first, "backbone")
        params, macs = found.get(name, (0, 0))
        found[name] = params + one.params, macs + one.macs
    return found


def weights_in(modules: Iterator[nn.Module]) -> int:
    return sum(one.numel() for module in modules for one in module.parameters())
