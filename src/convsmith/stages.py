"""A spec as a table: one row a stage, with what each costs."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from .arch import ArchSpec, Node, StageRow, plan
from .costs import node_costs
from .units import Cost

__all__ = ["stage_rows"]


def stage_rows(spec: ArchSpec) -> tuple[StageRow, ...]:
    """Stem, stages, neck and head of `spec` in order; the costs of the rows add up to the cost of the whole.

    Units of a neck or head that run another number of times have a row of their own, under their own path.
    """
    pairs = list(zip(plan(spec), node_costs(spec), strict=True))
    groups = [(key, list(group)) for key, group in groupby(pairs, key=lambda pair: (_stage(pair[0]), pair[0].times))]
    shared = Counter(name for (name, _), _ in groups)
    rows = []
    for (stage, times), members in groups:
        name = stage if shared[stage] == 1 else members[0][0].path
        first, last = members[0][0], members[-1][0]
        total = sum((cost for _, cost in members), Cost())
        sides = last.outs[0].sides or last.sides
        rows.append(
            StageRow(
                name=name,
                what=", ".join(dict.fromkeys(_what(node) for node, _ in members)),
                size=sides[-2] if sides else 1,
                depth=len(members),
                width=last.part.shown_width(last),
                stride=first.stride,
                macs=total.macs,
                params=total.params,
                activations=total.activations,
                sides=sides if len(sides) > 2 or len(set(sides)) > 1 else (),
                times=times,
            )
        )
    return tuple(rows)


def _what(node: Node) -> str:
    """The unit in words, and how many frames it reads at once where these are several."""
    return node.part.describe() + (f" t{node.temporal}" if node.temporal > 1 else "")


def _stage(node: Node) -> str:
    """`stages.2.0` belongs to `stage 3`; people count from one, paths from zero."""
    words = node.path.split(".")
    return f"stage {int(words[1]) + 1}" if words[0] == "stages" else words[0]
