"""`convsmith pick`: which network to take under a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..units import human
from .options import BUDGET, COUNT, OUTPUT, Elsewhere, Json, Pattern, Plot, Rounds, Runtime, Threads
from .output import emit, out, table, tell_machine, watching

if TYPE_CHECKING:
    from ..scaling import Took

__all__ = ["pick"]


def pick(
    pattern: Pattern = "*",
    /,
    *,
    to: Annotated[str, BUDGET],
    family: Annotated[str | None, Parameter(help="Only this family.")] = None,
    top: Annotated[int, Parameter(help="How many networks to show.", validator=COUNT)] = 8,
    published_only: Annotated[bool, Parameter(help="No scaled members.")] = False,
    with_weights: Annotated[
        bool, Parameter(help="Only networks that timm or torchvision has weights of, as they are.")
    ] = False,
    counts_only: Annotated[bool, Parameter(help="Measure nothing.")] = False,
    dry_run: Annotated[bool, Parameter(help="Say what would be measured, and measure nothing.", group=OUTPUT)] = False,
    runtime: Runtime = "ort",
    threads: Threads = 1,
    rounds: Annotated[Rounds, Parameter(validator=Number(gte=3))] = 30,
    device: Elsewhere = None,
    plot: Annotated[Plot, Parameter(help="Draw accuracy against ms (or MACs) as an .svg or .png.")] = None,
    json: Json = False,
) -> None:
    """Rank the ledger's networks, and members scaled from them, that meet the budget: by published top-1, timed here.

    A scaled member's top-1 is interpolated between the published ones of its family and marked ~.
    """
    from ..jobs.timing.pick import pick as picked

    found = picked(
        to,
        pattern=pattern,
        family=family,
        top=top,
        scaled=not published_only,
        with_weights=with_weights,
        timed=not counts_only,
        runtime=runtime,
        threads=threads,
        rounds=rounds,
        device=device,
        dry_run=dry_run,
        watcher=watching(),
    )
    if plot is not None:
        from .. import plot as drawing
        from ..reports.fronts import Dot, accuracy_front

        dots = [
            Dot(one.latency.median_ms if one.latency else one.cost.macs, one.prior / 100,
                "interpolated" if one.between else "published", name=one.name)
            for one in found.picks
        ]  # fmt: skip
        drawing.save(accuracy_front(dots, unit="MACs" if counts_only else "ms", named=True), plot)
    if json:
        emit(found.to_record())
        return
    rows = [
        [
            one.name,
            str(one.spec.input.resolution),
            ("~" if one.between else "") + f"{one.prior:.1f}",
            human(one.cost.macs),
            human(one.cost.params),
            *(() if one.latency is None else _timed(one.latency)),
        ]
        for one in found.picks
    ]
    spread = "p10_-_p90" if device is None else "90_%_of_networks"
    timed = f" ms {spread}" if any(one.latency for one in found.picks) else ""
    out.print(table(f"under {to}", f"<model px top-1 MACs params{timed}", rows))
    for note in found.notes:
        out.print(note, soft_wrap=True, highlight=False)
    if plot is not None:
        out.print(f"wrote {plot}")
    if device is None and not (counts_only or dry_run):
        tell_machine()


def _timed(row: Took) -> tuple[str, str]:
    """Its median, and between what most of its times lie."""
    low, high = row.within
    return f"{row.median_ms:.2f}", f"{low:.2f} - {high:.2f}"
