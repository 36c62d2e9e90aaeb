"""A spec as a table: one row a stage, with what each costs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from .arch import ArchSpec, Node, plan
from .costs import node_costs
from .parts import PooledClassifier
from .units import Cost

__all__ = ["StageRow", "stage_rows"]


@dataclass(frozen=True)
class StageRow:
    """Equal blocks in a row: `size` is the side of the map they put out, `width` its channels."""

    name: str
    what: str
    size: int
    depth: int
    width: int
    stride: int
    macs: int
    params: int
    activations: int


def stage_rows(spec: ArchSpec) -> tuple[StageRow, ...]:
    """Stem, stages and head of `spec` in order; the costs of the rows add up to the cost of the whole."""
    pairs = list(zip(plan(spec), node_costs(spec), strict=True))
    rows = []
    for name, group in groupby(pairs, key=lambda pair: _stage(pair[0])):
        members = list(group)
        first, last = members[0][0], members[-1][0]
        total = sum((cost for _, cost in members), Cost())
        width = last.part.width or last.c_in if isinstance(last.part, PooledClassifier) else last.c_out
        rows.append(
            StageRow(
                name=name,
                what=first.part.describe(),
                size=last.size_out,
                depth=len(members),
                width=width,
                stride=first.stride,
                macs=total.macs,
                params=total.params,
                activations=total.activations,
            )
        )
    return tuple(rows)


def _stage(node: Node) -> str:
    """`stages.2.0` belongs to `stage 3`; people count from one, paths from zero."""
    words = node.path.split(".")
    return f"stage {int(words[1]) + 1}" if words[0] == "stages" else words[0]
