"""`convsmith show`: a network's stages, its cost, the paper's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ledger import published
from ..units import human
from .options import Classes, Json, Resolution, Spec
from .output import emit, out, table

if TYPE_CHECKING:
    pass

from .list_ import row_record

__all__ = ["show"]


def show(
    model: Spec,
    /,
    *,
    classes: Classes = None,
    resolution: Resolution = None,
    json: Json = False,
) -> None:
    """The stage table of MODEL, its cost, the paper's numbers and our difference from them."""
    from ..codec import to_data
    from ..costs import cost
    from ..resolve import spec as resolve_spec
    from ..stages import stage_rows

    spec = resolve_spec(model)
    spec = spec if classes is None else spec.with_classes(classes)
    spec = spec if resolution is None else spec.with_resolution(resolution)
    rows, total = stage_rows(spec), cost(spec)
    paper = [row for row in published(spec.name) if row.name == spec.name]
    same = [row for row in paper if spec.input.px == str(row.resolution) and classes in (None, 1000)]
    if json:
        record = {"spec": to_data(spec), "cost": to_data(total), "stages": [to_data(row) for row in rows]}
        emit(record | {"published": [row_record(row) for row in same]})
        return
    body = [
        [
            r.name,
            r.what if r.times == 1 else f"{r.times} x {r.what}",
            r.px,
            str(r.depth),
            str(r.width),
            human(r.macs),
            human(r.params),
            human(r.activations),
        ]
        for r in rows
    ]
    body.append(
        ["total", "", "", str(spec.depth), "", human(total.macs), human(total.params), human(total.activations)]
    )
    title = f"[bold]{spec.name}[/] at {spec.input.px} px, {spec.head.n_names} classes"
    out.print(table(title, "<stage <block px depth width MACs params activations", body))
    out.print(f"\n{total.params:,} parameters, {total.macs:,} MACs (= {2 * total.macs / 1e9:.3f} GFLOPs at 2 per MAC)")
    out.print(
        f"weights {4 * total.params / 2**20:.1f} MiB in fp32; activations {4 * total.activations / 2**20:.1f} MiB an image"
    )
    for row in same:
        for field, printed, ours in row.differences():
            verdict = "agrees" if printed.agrees(ours) else "differs"
            unit = row.unit if field == "macs" else "count"
            out.print(f"paper: {printed.text} {field} ({unit}), ours {printed.difference(ours):+.2%}: {verdict}")
        if row.paper_top1 is not None:
            out.print(f"paper: {row.paper_top1} % ImageNet top-1 (theirs; nothing of ours was trained on ImageNet)")
        if row.source:
            out.print(f"source: {row.source}", style="dim")
        if row.reason:
            out.print(f"why: {row.reason}", style="dim")
    if paper and paper[0].family == "efficientnet":
        out.print(
            "The released sizes are the authors' table, not the compound formula with a whole phi: "
            "`convsmith scale efficientnet_b0 --to ...` uses the formula.",
            style="dim",
            soft_wrap=True,
        )
