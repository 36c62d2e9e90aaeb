"""`convsmith fit-scaling`: the scaling rule of the user's own data."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from ..errors import UserError
from .early import known_model
from .options import COUNT, NETWORK, POSITIVE, TRAINING, Cluster, Data, Jobs, Out, Resolution
from .output import emit, out, table, watching
from .training import LEARNING, Learning

__all__ = ["fit_scaling"]


def fit_scaling(
    data: Data,
    /,
    *,
    base: Annotated[
        str, Parameter(help="What to scale: a name or a spec .json.", validator=known_model, group=NETWORK)
    ] = "efficientnet_b0",
    rule: Annotated[Literal["compound", "tiny"], Parameter(help="Which rule to fit.")] = "compound",
    trials: Annotated[
        int | None, Parameter(help="Networks to try: 12 triples, or 24 shapes for tiny.", validator=COUNT)
    ] = None,
    seeds: Annotated[
        int, Parameter(help="Trainings of each triple and of each member of the rule.", validator=COUNT)
    ] = 3,
    front: Annotated[
        float,
        Parameter(help="For tiny: the share of the shapes, front by front, to fit to.", validator=Number(gt=0, lte=1)),
    ] = 0.4,
    against: Annotated[tuple[str, ...], Parameter(help="Also train members of this rule at the same cost.")] = (),
    resolution: Annotated[Resolution, Parameter(help="Another input side of the base.")] = None,
    hours: Annotated[
        float | None,
        Parameter(help="Instead of --epochs: as many as fit in so many hours.", validator=POSITIVE, group=TRAINING),
    ] = None,
    jobs: Jobs = None,
    cluster: Cluster = None,
    out_folder: Annotated[
        Out, Parameter(help="Where results and the page go; a study that is there goes on. Default: runs/scaling-...")
    ] = None,
    learning: Learning = LEARNING,
) -> None:
    """Fit alpha, beta, gamma or the tiny formula to DATA from small trainings, and check what it predicts of larger ones.

    Tries networks, fits the rule, trains the rule's members, fits the law of error against cost, and holds it against
    members of up to four times the dearest cost it has seen. A study that was stopped goes on from --out.
    """
    if learning.epochs is not None and hours is not None:
        raise UserError("--epochs and --hours both say how long: give one of them")
    options = learning.options()
    from ..jobs.options import source_of
    from ..jobs.studies.scaling import fit_scaling as fitted
    from ..jobs.studies.scaling import planned
    from ..jobs.studies.scaling_page import findings, written
    from ..machine import this_machine

    watcher = watching()
    folder = out_folder or Path("runs") / f"scaling-{Path(data).stem}-{Path(base).stem}-{rule}"
    workers = this_machine().cores if jobs is None else jobs
    images = source_of(data, options).load(watcher)
    plan = planned(
        base=base,
        rule=rule,
        images=images,
        trials=trials,
        seeds=seeds,
        front=front,
        resolution=resolution,
        against=against,
        options=options,
    )
    if hours is not None or learning.dry_run:
        from ..jobs.studies.scaling_time import afforded, listed

        plan = (
            plan
            if hours is None
            else afforded(plan, images, hours, workers, folder, watcher, keep=not learning.dry_run)
        )
        if learning.dry_run:
            rows, note = listed(plan, images, workers)
            if learning.json:
                emit({"networks": rows, "note": note, "dry_run": True})
                return
            out.print(
                table(None, "<network px blocks MACs params", [[str(cell) for cell in row.values()] for row in rows])
            )
            out.print(note, soft_wrap=True)
            return
    study = fitted(plan, images, folder, workers=workers, cluster=cluster, watcher=watcher)
    page = written(study, folder, command=shlex.join(["convsmith", *sys.argv[1:]]), workers=workers)
    if learning.json:
        emit(study.to_record() | {"findings": findings(study), "report": str(page)})
        return
    for line in findings(study):
        out.print(line, soft_wrap=True, highlight=False)
    out.print(f"rule    {folder / 'rule.json'}", soft_wrap=True)
    out.print(f"report  {page}", soft_wrap=True)
