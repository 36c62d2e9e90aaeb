"""`convsmith search`: one supernet on the user's data, a finished network for each budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from .options import COUNT, NATURAL
from .output import emit, out, table, watching
from .training import DEFAULTS, Training, told

if TYPE_CHECKING:
    from ..runs import Run

__all__ = ["finished", "search"]


def search(
    data: str,
    /,
    *,
    to: Annotated[
        str,
        Parameter(
            help="Budgets, each its own: 2M-macs,5ms. `+` joins limits of one: 5ms+1M-params.",
            allow_leading_hyphen=True,
        ),
    ],
    space: Annotated[str, Parameter(help="t32 (small images), bignas, or a model: the networks within it.")] = "t32",
    labels_first: Annotated[
        float,
        Parameter(
            help="Share of training in which all children learn from labels, before they learn from the biggest.",
            validator=Number(gte=0, lte=1),
        ),
    ] = 0.0,
    rounds: Annotated[int, Parameter(help="Rounds of mutations for each budget.", validator=NATURAL)] = 6,
    per_round: Annotated[int, Parameter(help="Children scored in a round.", validator=COUNT)] = 16,
    threads: Annotated[
        int, Parameter(help="Threads that a budget in milliseconds is measured with.", validator=COUNT)
    ] = 1,
    select: Annotated[
        Literal["coarse-to-fine", "reward", "nsga2"],
        Parameter(help="Who looks: BigNAS's grid and mutations, MnasNet's reward, a front by NSGA-II."),
    ] = "coarse-to-fine",
    scorers: Annotated[
        int,
        Parameter(
            help="Processes that score children beside each other; 0: one for each core, 8 at most.", validator=NATURAL
        ),
    ] = 0,
    cluster: Annotated[str | None, Parameter(help="Address of a Ray cluster to score on instead.")] = None,
    against: Annotated[
        tuple[str, ...],
        Parameter(
            help="Also train this network alone, scaled to the winners' MACs: efficientnet_b0, efficientnet_b0@tiny."
        ),
    ] = (),
    training: Training = DEFAULTS,
) -> None:
    """Train one supernet on DATA and cut a finished network out of it for each budget; none is trained again.

    A tenth of the training images is held out to choose by. Each winner is a run of its own in RUN/children/BUDGET,
    evaluated on the validation images, exported and measured. A search that was stopped goes on with `resume RUN`.
    """
    from ..jobs.search import begin as searching

    how = searching.SearchOptions(
        space=space,
        labels_first=labels_first,
        rounds=rounds,
        per_round=per_round,
        threads=threads,
        select=searching.Selector(select),
        scorers=scorers,
        cluster=cluster,
        against=against,
    )
    if training.dry_run:
        from ..jobs.search.rehearsal import rehearse_search

        told(rehearse_search(data, to=to, options=training.options(), how=how, watcher=watching()), training.json)
        return
    run = searching.search(data, to=to, options=training.options(), how=how, watcher=watching())
    finished(run, training.json)


def finished(run: Run, json: bool) -> None:
    """Say what a search found."""
    from ..jobs.search.foils import foils_of
    from ..jobs.search.page import missed, shown
    from ..training import rank_here
    from ..units import human

    if rank_here() > 0:
        return
    rows = shown(run)
    if json:
        emit({"run": str(run.path), "children": rows, "alone": foils_of(run), "report": str(run.file("report.html"))})
        return
    cells = [
        [
            row["budget"],
            f"{row['top1']:.2%}",
            f"{100 * row['top1_interval'][0]:.1f} to {100 * row['top1_interval'][1]:.1f}",
            human(row["macs"]),
            human(row["params"]),
            f"{row['ms']:.3g}",
        ]
        for row in rows
    ]
    out.print(table(None, "<budget top-1 interval MACs params ms", cells))
    for row in rows:
        if said := missed(row["met"]):
            out.print(f"missed   {row['budget']}: {said}", soft_wrap=True)
    if foils := foils_of(run):
        alone = [
            [
                row["against"],
                row["budget"],
                row["failed"] or f"{row['top1']:.2%}",
                "-" if row["failed"] else f"{100 * row['top1_interval'][0]:.1f} to {100 * row['top1_interval'][1]:.1f}",
                human(row["macs"]),
                human(row["params"]),
            ]
            for row in foils
        ]
        out.print(table(None, "<trained_alone <for top-1 interval MACs params", alone))
    out.print(f"children {run.file('children')}", soft_wrap=True)
    out.print(f"report   {run.file('report.html')}", soft_wrap=True)
