"""Verbs that train nothing: doctor, list, show, scale, measure."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import UserError, nearest
from ..ledger import Row, Verdict, families, published
from ..units import human
from .options import BUDGET, COUNT, NATURAL, POSITIVE, RULE, Json, RuntimeName, Seed
from .output import emit, err, machine_line, out, table, watching
from .places import writable

if TYPE_CHECKING:
    from ..scaling import Rule

__all__ = ["doctor", "list_", "measure", "scale", "show"]


def doctor(
    data: str | None = None,
    /,
    *,
    model: Annotated[str | None, Parameter(help="With DATA: the network to train on it; resnet18 by default.")] = None,
    recipe: Annotated[
        str | None, Parameter(help="With DATA: the recipe whose augmentation and batch it is; quick by default.")
    ] = None,
    workers: Annotated[
        int | None, Parameter(help="With DATA: processes that read images; none by default.", validator=NATURAL)
    ] = None,
    json: Json = False,
    seed: Seed = 0,
) -> None:
    """The machine, its versions and threads, and whether it is quiet enough to time on; with DATA, where training's time goes."""
    if data is not None:
        _feeding(data, model or "resnet18", recipe or "quick", workers or 0, json=json)
        return
    for name, value in (("--model", model), ("--recipe", recipe), ("--workers", workers)):
        if value is not None:
            raise UserError(
                f"{name} says how DATA would be trained on; give DATA too: convsmith doctor DATA {name} {value}"
            )
    from ..doctor import examine

    found = examine(seed=seed)
    if json:
        emit(found.to_record())
        return
    machine = found.machine
    rows = [
        ["processor", f"{machine.processor}, {machine.cores} usable cores, {machine.memory_gib:.0f} GiB"],
        ["system", f"{machine.system}, Python {machine.python}"],
        ["packages", ", ".join(f"{name} {version}" for name, version in machine.packages)],
        ["torch", f"{found.torch_threads} threads, {found.cuda}"],
        ["load", f"{found.load:.2f} running processes on {machine.cores} cores (last minute)"],
        ["timing", f"{found.noise:.1%} spread of one fixed computation over {found.rounds} rounds"],
        ["verdict", found.verdict],
    ]
    out.print(table(None, "<check <found", rows))


def _feeding(data: str, model: str, recipe: str, workers: int, *, json: bool) -> None:
    from ..feeding import examine_data

    found = examine_data(data, model=model, recipe=recipe, workers=workers, watcher=watching())
    if json:
        emit(found.to_record())
        return
    rows = [
        ["decode", f"{found.decode:.2f} ms an image"],
        ["augment", f"{found.augment:.2f} ms an image"],
        ["step", f"{found.step:.2f} ms an image"],
        ["feed", f"{found.supplied:.0f} images/s with {found.workers} workers"],
        ["network", f"{found.consumed:.0f} images/s"],
        ["verdict", found.verdict],
    ]
    out.print(table(f"{data}, {model}, {found.images} images", "<part <found", rows))


def list_(
    pattern: str = "*",
    /,
    *,
    family: Annotated[str | None, Parameter(help="Only this family, or those with this in their name.")] = None,
    task: Annotated[Literal["classify"], Parameter(help="Only networks for this task.")] = "classify",
    json: Json = False,
) -> None:
    """The ledger: every published variant, our exact counts against the paper's print.

    PATTERN is a shell pattern (`resnet*`) or a part of a name.
    """
    known = families()
    # A part of a name will do where it is not itself one: `lambda` is both families of lambda networks.
    chosen = [one for one in known if family is None or family == one] or [one for one in known if str(family) in one]
    if not chosen:
        raise UserError(f"unknown family '{family}'; families are {', '.join(known)}{nearest(str(family), known)}")
    rows = [row for row in published(pattern) if row.family in chosen]
    if not rows:
        variants = {row.name for row in published()}
        raise UserError(f"no variant matches '{pattern}'{nearest(pattern, variants)}")
    if json:
        emit({"task": task, "rows": [_row_record(row) for row in rows]})
        return
    out.print(
        table(
            None,
            "<name px params print MACs print top-1 <agrees",
            [
                [
                    row.name,
                    str(row.resolution),
                    human(row.params),
                    row.paper_params.text if row.paper_params else "-",
                    human(row.macs),
                    _print(row),
                    f"{row.paper_top1:.1f}" if row.paper_top1 is not None else "-",
                    _agreement(row),
                ]
                for row in rows
            ],
        )
    )
    shown = list(dict.fromkeys(row.family for row in rows))
    if len(shown) > 1:
        counts = [[name, *_verdicts([row for row in rows if row.family == name])] for name in shown]
        columns = " ".join(["<family", "rows", *(verdict.value.replace(" ", "_") for verdict in Verdict)])
        out.print("")
        out.print(table(None, columns, [*counts, ["all", *_verdicts(rows)]]))
    err.print(
        "Counts are exact; MACs are multiply-adds; top-1 is the source's. A count agrees with a print within the print's "
        "rounding or 1 %; any other has its reason in `convsmith show NAME`, or NAME@px for a row at another side.",
        style="dim",
    )


def show(
    model: str,
    /,
    *,
    classes: Annotated[int | None, Parameter(help="Another number of classes.", validator=COUNT)] = None,
    resolution: Annotated[int | None, Parameter(help="Another input side.", validator=COUNT)] = None,
    json: Json = False,
) -> None:
    """The stage table of MODEL, its cost, the paper's numbers and our difference from them.

    MODEL is a name, a spec .json or a run folder.
    """
    from ..codec import to_data
    from ..costs import cost
    from ..resolve import spec as resolve_spec
    from ..stages import stage_rows

    spec = resolve_spec(model)
    spec = spec if classes is None else spec.with_classes(classes)
    spec = spec if resolution is None else spec.with_resolution(resolution)
    rows, total = stage_rows(spec), cost(spec)
    paper = [row for row in published(spec.name) if row.name == spec.name]
    same = [row for row in paper if row.resolution == spec.input.resolution and classes in (None, 1000)]
    if json:
        record = {"spec": to_data(spec), "cost": to_data(total), "stages": [to_data(row) for row in rows]}
        emit(record | {"published": [_row_record(row) for row in same]})
        return
    body = [
        [r.name, r.what, str(r.size), str(r.depth), str(r.width), human(r.macs), human(r.params), human(r.activations)]
        for r in rows
    ]
    body.append(
        ["total", "", "", str(spec.depth), "", human(total.macs), human(total.params), human(total.activations)]
    )
    title = f"[bold]{spec.name}[/] at {spec.input.resolution} px, {spec.head.classes} classes"
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


def scale(
    model: str,
    /,
    *,
    to: Annotated[str, BUDGET],
    rule: Annotated[str, Parameter(help=RULE)] = "compound",
    classes: Annotated[int | None, Parameter(help="Another number of classes.", validator=COUNT)] = None,
    epochs: Annotated[
        float | None, Parameter(help="For resnet-rs: how long it will be trained.", validator=POSITIVE)
    ] = None,
    images: Annotated[
        int | None, Parameter(help="For resnet-rs: on how many images; ImageNet's if not given.", validator=COUNT)
    ] = None,
    runtime: Annotated[RuntimeName, Parameter(help="For ms: onnxruntime, eager torch or torch.compile.")] = "ort",
    threads: Annotated[int, Parameter(help="For ms: threads of the runtime.", validator=COUNT)] = 1,
    fill: Annotated[bool, Parameter(help="Use up a limit of macs by a larger side, off the rule's line.")] = False,
    out_file: Annotated[Path | None, Parameter(name="--out", help="Write the spec as JSON.")] = None,
    json: Json = False,
) -> None:
    """The largest member of a rule's line through MODEL that meets every part of the budget."""
    from ..codec import to_data
    from ..jobs import met
    from ..jobs import scale as scaled

    writable(out_file)
    line = _rule(rule, epochs, images)
    found = scaled(
        model, to=to, rule=line, classes=classes, runtime=runtime, threads=threads, fill=fill, watcher=watching()
    )
    if out_file is not None:
        from ..training import save_atomically

        save_atomically(out_file, lambda path: _write(path, found.spec.to_json()))
    if json:
        record = {"spec": to_data(found.spec), "cost": to_data(found.cost), "rule": line.kind, "x": found.x}
        record |= {"filled_from": found.filled_from}
        timed = None if found.latency is None else found.latency.to_record()
        emit(record | {"budget": str(found.budget), "met": met(found), "latency": timed})
        return
    spec = found.spec
    depths = " ".join(str(stage.depth) for stage in spec.stages)
    widths = " ".join(str(stage.width) for stage in spec.stages)
    out.print(found.where)
    out.print(f"{spec.input.resolution} px; depths {depths}; stem {spec.stem.width}, widths {widths}")
    slack = ", ".join(f"{share:.1%} under the {name} limit" for name, share in found.slack.items())
    out.print(f"{found.cost} ({slack})")
    if found.latency is not None:
        row, plural = found.latency, "s" * (found.latency.threads > 1)
        out.print(
            f"measured {row.median_ms:.3g} ms (p10 {row.p10_ms:.3g}, p90 {row.p90_ms:.3g}, n = {row.n}; {row.runtime}, "
            f"batch {row.batch}, {row.threads} thread{plural})",
            soft_wrap=True,
        )
        err.print(machine_line())
    if out_file is not None:
        out.print(f"wrote {out_file}")


def measure(
    models: Annotated[list[str], Parameter(negative=())],
    /,
    *,
    runtime: Annotated[RuntimeName, Parameter(help="onnxruntime, eager torch or torch.compile.")] = "ort",
    threads: Annotated[int, Parameter(help="Threads of the runtime.", validator=COUNT)] = 1,
    batch: Annotated[int, Parameter(help="Images at once.", validator=COUNT)] = 1,
    rounds: Annotated[int, Parameter(help="Interleaved rounds.", validator=COUNT)] = 30,
    resolution: Annotated[int | None, Parameter(help="Another input side for every network.", validator=COUNT)] = None,
    json: Json = False,
    seed: Seed = 0,
) -> None:
    """Interleaved timing of MODELS on this machine: median, p10 and p90, and which of them can be ranked.

    A model is a name, a spec .json, a run folder, an .onnx file, timm:NAME or tv:NAME.
    """
    from ..checks import measure as timed

    timing = timed(
        models,
        runtime=runtime,
        threads=threads,
        batch=batch,
        rounds=rounds,
        resolution=resolution,
        seed=seed,
        watcher=watching(),
    )
    if json:
        emit(timing.to_record())
        return
    body = [
        [row.name, f"{row.median_ms:.3f}", f"{row.p10_ms:.3f}", f"{row.p90_ms:.3f}", str(row.n)]
        for row in sorted(timing.rows, key=lambda row: row.median_ms)
    ]
    title = f"ms per image, {runtime}, batch {batch}, {threads} thread{'s' * (threads > 1)}"
    out.print(table(title, "<model median p10 p90 n", body))
    for sentence in timing.verdict:
        out.print(sentence, soft_wrap=True)
    out.print(machine_line(), style="dim", soft_wrap=True)


def _rule(name: str, epochs: float | None, images: int | None) -> Rule:
    from ..scaling import ResNetRS, regime
    from ..scaling import rule as named_rule
    from ..scaling.resnet_rs import IMAGENET

    line = named_rule(name)
    if epochs is None and images is None:
        return line
    if not isinstance(line, ResNetRS):
        raise UserError(f"--epochs and --images choose the strategy of --rule resnet-rs; '{name}' has none to choose")
    return dataclasses.replace(
        line, regime=regime(350 if epochs is None else epochs, IMAGENET if images is None else images)
    )


def _print(row: Row) -> str:
    """The paper's multiply-adds as it prints them, and whether it counts each as two."""
    if row.paper_macs is None:
        return "-"
    return row.paper_macs.text + (" (2x)" if row.unit == "2xMACs" else "")


def _verdicts(rows: list[Row]) -> list[str]:
    """How many rows there are, then how many of each verdict."""
    return [str(len(rows)), *(str(sum(row.verdict is verdict for row in rows)) for verdict in Verdict)]


def _agreement(row: Row) -> str:
    if row.verdict is not Verdict.DIFFERS:
        return row.verdict
    return ", ".join(
        f"{field} {printed.difference(ours):+.1%}"
        for field, printed, ours in row.differences()
        if not printed.agrees(ours)
    )


def _row_record(row: Row) -> dict[str, object]:
    record = dataclasses.asdict(row)
    record["paper_params"] = row.paper_params.text if row.paper_params else None
    record["paper_macs"] = row.paper_macs.text if row.paper_macs else None
    return record | {"agrees": row.agrees if any(row.differences()) else None}


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
