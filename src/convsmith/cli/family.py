"""`convsmith family`: a base scaled to several budgets, every member trained."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .early import in_order, known_budgets, known_rule
from .options import BUDGETS, COUNT, NETWORK, RULE_HELP, SPEC_HELP, Cluster, Data, Jobs, Out, Resolution
from .output import emit, out, table, watching
from .training import LEARNING, Learning

__all__ = ["family"]


def family(
    base: Annotated[str, Parameter(help=f"{SPEC_HELP[:-1]}, a child of a search among them.")],
    data: Data,
    /,
    *,
    to: Annotated[
        str,
        Parameter(
            help="A budget for each member, joined by commas: 1M-macs,2M-macs,4M-macs. A + joins limits of one.",
            validator=known_budgets,
            allow_leading_hyphen=True,
            group=BUDGETS,
        ),
    ],
    rule: Annotated[str, Parameter(help=RULE_HELP, validator=known_rule, group=NETWORK)] = "compound",
    against: Annotated[
        tuple[str, ...], Parameter(help="Also train the members of this rule's line; may be repeated.", group=NETWORK)
    ] = (),
    seeds: Annotated[
        int, Parameter(help="Trainings of each member; 3 is the least that says anything.", validator=COUNT)
    ] = 3,
    resolution: Annotated[Resolution, Parameter(help="Another input side of the base.")] = None,
    jobs: Jobs = None,
    cluster: Cluster = None,
    out_folder: Annotated[
        Out, Parameter(help="Where results and the page go; a study that is there goes on. Default: runs/family-...")
    ] = None,
    learning: Learning = LEARNING,
) -> None:
    """Scale BASE to several budgets by a rule, train every member on DATA, and draw score against what it costs.

    This is how a family comes from a baseline: EfficientNet's B1 to B7 from its B0. The page has the papers' picture, score
    against multiply-adds, parameters and milliseconds measured here, with a line for each rule. A study that was stopped goes on
    from --out.
    """
    in_order("family", base, data)
    for one in against:
        known_rule(None, one)
    options = learning.options()
    from ..jobs.studies.climb import hours_of
    from ..jobs.studies.family import family as trained
    from ..jobs.studies.family import planned
    from ..jobs.studies.family_page import findings, written
    from ..machine import this_machine

    watcher = watching()
    workers = this_machine().cores if jobs is None else jobs
    plan = planned(base, data, to=to, rules=(rule, *against), resolution=resolution, options=options, watcher=watcher)
    if learning.dry_run:
        from ..costs import cost
        from ..units import duration, human, plural

        steps = [one.step for one in plan.members]
        hours = hours_of(steps, plan.images, seeds=seeds, workers=workers)
        costs = [(one, cost(one.spec)) for one in plan.members]
        if learning.json:
            listed = [
                {"rule": one.rule, "budget": one.budget, "place": one.place, "macs": c.macs, "params": c.params}
                for one, c in costs
            ]
            emit({"members": listed, "trainings": seeds * len(steps), "hours": hours, "dry_run": True})
            return
        rows = [[one.rule, one.budget, one.place, human(c.macs), human(c.params)] for one, c in costs]
        out.print(table(None, "<rule <budget <place MACs params", rows))
        out.print(
            f"would train {plural(seeds * len(steps), 'network')}, {seeds} of each, in about {duration(3600 * hours)} with "
            f"--jobs {workers}; nothing was trained and nothing was written",
            soft_wrap=True,
        )
        return
    folder = out_folder or Path("runs") / f"family-{Path(data).stem}-{Path(base).stem}"
    made = trained(
        plan,
        out=folder,
        seeds=seeds,
        workers=workers,
        cluster=cluster,
        watcher=watcher,
    )
    written(made, command=shlex.join(["convsmith", *sys.argv[1:]]))
    if learning.json:
        emit(made.to_record())
        return
    rows = [
        [
            one.member.rule,
            one.member.budget,
            str(one.cost.macs),
            str(one.cost.params),
            f"{one.latency.median_ms:.3f}",
            one.score.text,
            one.score.ends(" to "),
        ]
        for one in made.trained
    ]
    out.print(table(None, f"<rule <budget MACs params ms {made.trained[0].score.words} interval", rows))
    for line in findings(made):
        out.print(line, soft_wrap=True)
    out.print(f"report  {made.report}", soft_wrap=True)
