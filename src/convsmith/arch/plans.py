"""The one place that unrolls a spec.

`plan(spec)` lists every unit of the network in order, with the shapes and rates that follow from its place. The model is
built from it, the cost summed over it, tables printed from it: none can disagree with another.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from .part import Block, Node, Ramp
from .shapes import Map
from .spec import ArchSpec

__all__ = ["plan", "taps", "trunk"]


@lru_cache(maxsize=4096)
def plan(spec: ArchSpec) -> tuple[Node, ...]:
    """Every unit of `spec` in order of execution: stem, blocks, those of the neck if it has one, those of the head."""
    nodes = trunk(spec)
    maps = taps(nodes, every=(spec.neck or spec.head).every)
    for part in (spec.neck, spec.head):
        if part is not None:
            more, maps = part.unrolled(maps)
            nodes += more
    return tuple(nodes)


def trunk(spec: ArchSpec) -> list[Node]:
    """The stem and the blocks: a chain, but for conditions that the stem puts out, one for each block that reads one."""
    stem = spec.stem
    readers = sum(stage.depth for stage in spec.stages if stage.block.conditional)
    leaving, *conditions = outs = stem.leaves(spec.input, spec.growth, readers)
    nodes = [Node("stem", stem, spec.input.shapes, outs, stride=stem.reduction, over=stem.reduction_over_time)]
    telling = iter(conditions)
    done, variance = 0, 1.0
    rate = 0.0 if spec.neck is not None and spec.neck.drops else spec.style.drop_path
    for index, stage in enumerate(spec.stages):
        for repeat in range(stage.depth):
            stride, over = (stage.stride, stage.over) if repeat == 0 else (1, 1)
            entering, leaving = leaving, stage.block.leaves(leaving, stride, stage.width, over)
            told = (next(telling),) if stage.block.conditional else ()
            node = Node(
                path=f"stages.{index}.{repeat}",
                part=stage.block,
                ins=(entering, *told),
                outs=(leaving,),
                reads=(nodes[-1].path, "stem") if told else (),
                stride=stride,
                drop_path=rate * _ramp(spec, index, done),
                variance=variance,
                traded=stage.traded if repeat == 0 else 1,
                temporal=stage.temporal[repeat % len(stage.temporal)],
                over=over,
                last=repeat == stage.depth - 1,
            )
            nodes.append(node)
            variance = stage.block.variance(variance, keeps=node.keeps)
            done += 1
    return nodes


def taps(nodes: Iterable[Node], *, every: bool = False) -> tuple[Map, ...]:
    """The maps of a trunk that others may read, fine to coarse: the last of each total stride, with `every` of each stage."""
    found: dict[int | str, Map] = {}
    stride = 1
    for node in nodes:
        stride *= node.stride
        variance = node.part.variance(node.variance, keeps=node.keeps) if isinstance(node.part, Block) else 1.0
        found[node.path.rpartition(".")[0] if every else stride] = Map(node.path, stride, node.outs[0], variance)
    return tuple(found.values())


def _ramp(spec: ArchSpec, stage: int, done: int) -> float:
    """The share of the full stochastic-depth rate in a stage, after `done` blocks of the whole network."""
    return done / spec.depth if spec.style.ramp is Ramp.BLOCKS else (stage + 2) / (len(spec.stages) + 1)
