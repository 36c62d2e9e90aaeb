"""The verb that looks at a network's signal: diagnose."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.markup import escape

from .options import COUNT, DATA, DATA_HELP, OUTPUT, Json, Model, Plot, Resolution, Seed
from .output import emit, err, out, table, watching
from .places import picture

if TYPE_CHECKING:
    from ..jobs.diagnose import Diagnosis
    from ..signal import Point

__all__ = ["diagnose"]

_MOST = 24  # points up to which a table has a row for each


def diagnose(
    model: Model,
    /,
    *,
    data: Annotated[
        str | None,
        Parameter(help=f"Images to send through instead of unit Gaussian noise: {DATA_HELP}", group=DATA),
    ] = None,
    resolution: Resolution = None,
    draws: Annotated[
        int, Parameter(help="Draws of weights (of a spec) and noise to average over.", validator=COUNT)
    ] = 2,
    branches_on: Annotated[
        bool, Parameter(help="Set scales that start at 0 to 1, so that branches can be seen.")
    ] = False,
    strict: Annotated[bool, Parameter(help="Exit with 1 where something is wrong.", group=OUTPUT)] = False,
    plot: Annotated[Plot, Parameter(help="Draw the signal propagation plot as an .svg or .png.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """The signal on its way through MODEL: variance and mean after every residual block, what is wrong, and what to do."""
    from ..errors import CheckFailed
    from ..jobs.diagnose import diagnose as diagnosed
    from ..jobs.diagnose import images_of

    picture(plot)
    images = None
    if data is not None:
        from ..jobs.source import Source

        images = images_of(model, Source(data).load(watching()), resolution)
    found = diagnosed(model, images=images, resolution=resolution, draws=draws, branches_on=branches_on, seed=seed)
    if plot is not None:
        from ..plot import save
        from ..reports.propagation import signal_plot

        save(signal_plot([found.trace], found.theory), plot)
    failed = str(found.verdict) if strict and not found.verdict.healthy else None
    if json:
        emit(_record(found) | ({} if failed is None else {"error": failed}))
    else:
        _tell(found)
        if plot is not None:
            out.print(f"wrote {plot}")
    if failed is not None:
        raise CheckFailed(failed, told=json)


def _tell(found: Diagnosis) -> None:
    trace = found.trace
    theory = {one.path: one for one in found.theory or ()}
    rows = []
    for point in _shown(trace.points):
        said = theory.get(point.path)
        expected = "-" if said is None else short(said.energy if math.isnan(said.var) else said.var)
        rows.append([
            str(point.index), point.path, str(point.side or "-"), short(point.out.var), expected, short(point.out.sqmean),
            short(point.branch),
        ])  # fmt: skip
    head = "block <after px variance theory squared_mean branch's_variance"
    out.print(table(f"{trace.name}: {trace.source}, {trace.statistics}", head, rows))
    if len(trace.points) > len(rows):
        err.print(f"{len(rows)} of {len(trace.points)} points shown; --json has all", style="dim", soft_wrap=True)
    for note in trace.notes:
        out.print(f"[dim]could not tell:[/] {escape(note)}", soft_wrap=True, markup=True)
    for finding in found.verdict.findings:
        mark = "[bold red]wrong[/]" if finding.wrong else "[yellow]note[/]"
        out.print(f"{mark}  {escape(str(finding))}", soft_wrap=True, markup=True)
    if found.theory_error is not None:
        out.print(f"variance within a factor of {found.theory_error:.2f} of theory", soft_wrap=True)
    style = "bold green" if found.verdict.healthy else "bold red"
    out.print(str(found.verdict), style=style, soft_wrap=True)


def _shown(points: tuple[Point, ...]) -> list[Point]:
    """All of a few points; of many, those where the side changes, the ones before, and the ends."""
    if len(points) <= _MOST:
        return list(points)
    kept = [points[0]]
    for before, point in pairwise(points):
        if point.side != before.side:
            kept += [before, point]
    return list(dict.fromkeys([*kept, points[-1]]))[:_MOST]


def _record(found: Diagnosis) -> dict[str, object]:
    trace, theory = found.trace, {one.path: one for one in found.theory or ()}
    points = [
        {
            "block": point.index, "path": point.path, "side": point.side, "channels": point.channels,
            "variance": point.out.var, "squared_mean": point.out.sqmean, "branch_variance": _number(point.branch),
            "branch_factor": point.factor, "low": _number(point.low), "high": _number(point.high),
            "theory": _number(theory[point.path].var) if point.path in theory else None,
        }
        for point in trace.points
    ]  # fmt: skip
    findings = [
        {"law": one.law, "wrong": one.wrong, "path": one.path, "number": _number(one.number), "limit": _number(one.limit),
         "says": one.says, "remedy": one.remedy}
        for one in found.verdict.findings
    ]  # fmt: skip
    return {
        "model": trace.name, "source": trace.source, "statistics": trace.statistics, "healthy": found.verdict.healthy,
        "findings": findings, "points": points, "notes": list(trace.notes),
    }  # fmt: skip


def short(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
