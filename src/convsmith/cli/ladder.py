"""`convsmith ladder`: what each ingredient of a recipe buys on the user's own data."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import UserError
from .early import in_order
from .options import COUNT, POSITIVE, SPEC_HELP, Cluster, Data, Jobs, Out, Resolution
from .output import emit, out, table, watching
from .training import LEARNING, Learning

if TYPE_CHECKING:
    from ..jobs.options import Options

__all__ = ["ladder"]


def ladder(
    model: Annotated[str, Parameter(help=SPEC_HELP)],
    data: Data,
    /,
    *,
    seeds: Annotated[
        int, Parameter(help="Trainings of each step; 3 is the least that says anything.", validator=COUNT)
    ] = 3,
    factors: Annotated[
        bool, Parameter(help="The 2 x 2 x 2 study of training, architecture and scaling instead.")
    ] = False,
    grow: Annotated[
        float | None,
        Parameter(
            help="With --factors: how many times MODEL's MACs both scalings reach; 2 by default.", validator=POSITIVE
        ),
    ] = None,
    resolution: Resolution = None,
    jobs: Jobs = None,
    cluster: Cluster = None,
    out_folder: Annotated[
        Out, Parameter(help="Where results and the page go; a study that is there goes on. Default: runs/ladder-...")
    ] = None,
    learning: Learning = LEARNING,
) -> None:
    """Train MODEL on DATA by a recipe's ingredients one after another, and draw what each adds, with intervals.

    The steps are those of ResNet-RS's additive study: a bare baseline, cosine, longer, EMA, label smoothing, stochastic
    depth, RandAugment, dropout, less weight decay, SE, ResNet-D. A study that was stopped goes on from --out.
    """
    from ..machine import this_machine

    in_order("ladder", model, data)
    if grow is not None and not factors:
        raise UserError("--grow is for the study of --factors; the ladder does not scale")
    grow = 2.0 if grow is None else grow
    options = learning.options()
    workers = this_machine().cores if jobs is None else jobs
    folder = out_folder or Path("runs") / f"{'factors' if factors else 'ladder'}-{Path(data).stem}-{Path(model).stem}"
    if learning.dry_run:
        _listed(model, data, options, resolution, factors, grow, seeds, workers, learning.json)
        return
    from ..jobs.studies.climb import climb

    made = climb(
        model,
        data,
        out=folder,
        seeds=seeds,
        resolution=resolution,
        study_factors=factors,
        grow=grow,
        options=options,
        workers=workers,
        cluster=cluster,
        command=shlex.join(["convsmith", *sys.argv[1:]]),
        watcher=watching(),
    )
    if learning.json:
        emit(made.to_record())
        return
    rows = [
        [rung.name, f"{rung.mean:.2%}", _ends(rung.interval), _points(rung.gain), _ends(rung.gain_interval)]
        for rung in made.rungs
    ]
    if factors:
        out.print(table(None, "<corner top-1 interval", [row[:3] for row in rows]))
        worth = [[effect.name, _points(effect.mean), _ends(effect.interval)] for effect in made.effects]
        out.print(table(None, "<factor points interval", worth))
    else:
        out.print(table(None, "<step top-1 interval gain interval", rows))
    out.print(f"report  {made.report}", soft_wrap=True)


def _listed(
    model: str,
    data: str,
    options: Options,
    resolution: int | None,
    factors: bool,
    grow: float,
    seeds: int,
    workers: int,
    json: bool,
) -> None:
    from ..costs import cost
    from ..jobs.studies.climb import hours_of, planned
    from ..units import duration, human, plural

    images, _, _, steps = planned(
        model, data, resolution=resolution, study_factors=factors, grow=grow, options=options, watcher=watching()
    )
    hours = hours_of(steps, images, seeds=seeds, workers=workers)
    rows = [(step.name, step.recipe.epochs, cost(step.spec)) for step in steps]
    if json:
        listed = [{"step": n, "epochs": e, "macs": c.macs, "params": c.params} for n, e, c in rows]
        emit({"steps": listed, "trainings": seeds * len(steps), "hours": hours, "dry_run": True})
        return
    out.print(
        table(None, "<step epochs MACs params", [[n, str(e), human(c.macs), human(c.params)] for n, e, c in rows])
    )
    out.print(
        f"would train {plural(seeds * len(steps), 'network')}, {seeds} of each, in about {duration(3600 * hours)} with "
        f"--jobs {workers}; "
        "nothing was trained and nothing was written",
        soft_wrap=True,
    )


def _ends(interval: tuple[float, float] | None) -> str:
    return "–" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def _points(gain: float | None) -> str:
    return "–" if gain is None else f"{100 * gain:+.2f}"
