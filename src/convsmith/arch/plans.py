"""The one place that unrolls a spec.

`plan(spec)` lists every unit of the network in order, with the widths, sides and rates that follow from its place. The
model is built from it, the cost summed over it, tables printed from it: none can disagree with another.
"""

from __future__ import annotations

from functools import lru_cache

from .part import Node, Ramp
from .spec import ArchSpec

__all__ = ["plan"]


@lru_cache(maxsize=4096)
def plan(spec: ArchSpec) -> tuple[Node, ...]:
    """Every unit of `spec` from stem to head, in order of execution."""
    size = spec.input.resolution
    stem = Node("stem", spec.stem, spec.input.channels, spec.stem.width, spec.stem.reduction, size)
    nodes = [stem]
    done, variance = 0, 1.0
    for index, stage in enumerate(spec.stages):
        for repeat in range(stage.depth):
            before = nodes[-1]
            node = Node(
                path=f"stages.{index}.{repeat}",
                part=stage.block,
                c_in=before.c_out,
                c_out=stage.width,
                stride=stage.stride if repeat == 0 else 1,
                size=before.size_out,
                drop_path=spec.style.drop_path * _ramp(spec, index, done),
                variance=variance,
            )
            nodes.append(node)
            variance = stage.block.variance(variance, keeps=node.keeps)
            done += 1
    last = nodes[-1]
    nodes.append(Node("head", spec.head, last.c_out, spec.head.classes, 1, last.size_out))
    return tuple(nodes)


def _ramp(spec: ArchSpec, stage: int, done: int) -> float:
    """The share of the full stochastic-depth rate in a stage, after `done` blocks of the whole network."""
    return done / spec.depth if spec.style.ramp is Ramp.BLOCKS else (stage + 2) / (len(spec.stages) + 1)
