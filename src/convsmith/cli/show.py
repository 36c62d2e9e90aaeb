"""`convsmith show`: a network's stages, its cost, the paper's numbers, and what a run of it scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..units import Cost, human, plural
from .list_ import row_record
from .options import Classes, Json, Resolution, Spec
from .output import emit, out, table

if TYPE_CHECKING:
    from ..arch import ArchSpec, StageRow
    from ..ledger import Row
    from ..scores import Scores

__all__ = ["show"]


@dataclass(frozen=True)
class _Network:
    """What is printed of a network."""

    name: str
    px: str
    classes: int
    rows: Sequence[StageRow]

    @property
    def total(self) -> Cost:
        return sum((Cost(row.macs, row.params, row.activations) for row in self.rows), Cost())


def show(
    model: Spec,
    /,
    *,
    classes: Classes = None,
    resolution: Resolution = None,
    json: Json = False,
) -> None:
    """The stage table of MODEL, its cost, the paper's numbers and our difference from them; of a run its scores, too."""
    from ..ledger import stages_of

    scores = _scores(Path(model))
    known = None if json or classes or resolution else stages_of(model)
    if known is not None:  # the ledger has it all, and needs no torch
        px, rows = known
        _print(_Network(model, str(px), 1000, rows), scores)
        return
    from ..codec import to_data
    from ..resolve import spec as resolve_spec
    from ..stages import stage_rows

    spec: ArchSpec = resolve_spec(model, classes=classes, resolution=resolution)
    found = _Network(spec.name, spec.input.px, spec.n_names, stage_rows(spec))
    if json:
        record = {"spec": to_data(spec), "cost": to_data(found.total), "stages": [to_data(row) for row in found.rows]}
        record |= {"published": [row_record(row) for row in _same(found)]}
        emit(record if scores is None else record | {"scores": scores.short_record()})
        return
    _print(found, scores)


def _scores(folder: Path) -> Scores | None:
    """What a run was worth; None of what is no run, or has no scores yet."""
    from ..runs import RunFolder, kind_of

    run = RunFolder(folder)
    return run.scores if kind_of(folder) is not None and run.has("scores.json") else None


def _same(network: _Network) -> list[Row]:
    """The ledger's rows of this very network, at this side and with these classes."""
    return [row for row in _named(network) if (network.classes, network.px) == (row.classes, row.px)]


def _named(network: _Network) -> list[Row]:
    from ..ledger import published

    return [row for row in published(network.name) if row.name == network.name]


def _print(network: _Network, scores: Scores | None) -> None:
    total = network.total
    body = [
        [r.name, r.what if r.times == 1 else f"{r.times} x {r.what}", r.px, str(r.depth), str(r.width), *_counts(r)]
        for r in network.rows
    ]
    depth = sum(row.depth for row in network.rows if row.name.startswith("stage"))
    body.append(["total", "", "", str(depth), "", *_counts(total)])
    title = f"{network.name} at {network.px} px, {plural(network.classes, 'class')}"
    out.print(table(title, "<stage <block px depth width MACs params activations", body))
    out.print(f"\n{total.params:,} parameters, {total.macs:,} MACs (= {2 * total.macs / 1e9:.3f} GFLOPs at 2 per MAC)")
    out.print(
        f"weights {4 * total.params / 2**20:.1f} MiB in fp32; activations {4 * total.activations / 2**20:.1f} MiB an input"
    )
    for line in () if scores is None else scores.lines():
        out.print(line, markup=False)
    same = _same(network)
    for row in same:
        for field, printed, ours in row.differences():
            verdict = "agrees" if printed.agrees(ours) else "differs"
            unit = row.unit if field == "macs" else "count"
            out.print(f"paper: {printed.text} {field} ({unit}), ours {printed.difference(ours):+.2%}: {verdict}")
        if row.paper_top1 is not None:
            out.print(f"paper: {row.paper_top1} % ImageNet top-1 (theirs; nothing of ours was trained on ImageNet)")
        if row.metric:
            out.print(f"paper: {row.metric} (theirs; nothing of ours was trained on that)")
        if row.frames:
            out.print(f"counts are of one clip of {row.frames} frames", style="dim")
        if row.per:
            out.print(f"counts are of one image with {row.per}", style="dim")
        if row.source:
            out.print(f"source: {row.source}", style="dim")
        if row.reason:
            out.print(f"why: {row.reason}", style="dim")
    paper = _named(network)
    if paper and not same and paper[0].source:
        out.print(f"source: {paper[0].source}, of {paper[0].px} px and {paper[0].classes} classes", style="dim")
    if paper and paper[0].family == "efficientnet":
        out.print(
            "The released sizes are the authors' table, not the compound formula with a whole phi: "
            "`convsmith scale efficientnet_b0 --to ...` uses the formula.",
            style="dim",
            soft_wrap=True,
        )


def _counts(cost: Cost | StageRow) -> list[str]:
    return [human(cost.macs), human(cost.params), human(cost.activations)]
