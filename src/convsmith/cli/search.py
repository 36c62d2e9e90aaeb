"""`convsmith search`: one supernet on the user's data, a finished network for each budget."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .early import known_budgets
from .options import (
    BUDGETS,
    COUNT,
    NATURAL,
    NETWORK,
    SEARCHING,
    SHARE,
    SPREAD,
    Cluster,
    Data,
    Runtime,
    Threads,
    Weights,
)
from .output import emit, out, table, watching
from .training import DEFAULTS, Training, told

if TYPE_CHECKING:
    from ..runs import RunFolder

__all__ = ["finished", "search"]


def search(
    data: Data,
    /,
    *,
    to: Annotated[
        str,
        Parameter(
            help="Budgets, each its own: 2M-macs,5ms. `+` joins limits of one: 5ms+1M-params.",
            validator=known_budgets,
            allow_leading_hyphen=True,
            group=BUDGETS,
        ),
    ],
    space: Annotated[
        str | None,
        Parameter(
            help="t32 (small images), p16 (points), bignas, or a model: the networks within it. Without it t32; of poses p16.",
            group=NETWORK,
        ),
    ] = None,
    weights: Annotated[
        Weights, Parameter(help="Begin with these, which are weights of the model that --space names.")
    ] = None,
    labels_first: Annotated[
        float,
        Parameter(
            help="Share of training in which all children learn from labels, before they learn from the biggest.",
            validator=SHARE,
            group=SEARCHING,
        ),
    ] = 0.0,
    generations: Annotated[
        int, Parameter(help="Generations of mutations for each budget.", validator=NATURAL, group=SEARCHING)
    ] = 6,
    per_generation: Annotated[
        int, Parameter(help="Children scored in a generation.", validator=COUNT, group=SEARCHING)
    ] = 16,
    runtime: Runtime = "ort",
    threads: Annotated[Threads, Parameter(help="For budgets in milliseconds: threads of the runtime.")] = 1,
    select: Annotated[
        Literal["coarse-to-fine", "reward", "nsga2"],
        Parameter(
            help="Who looks: BigNAS's grid and mutations, MnasNet's reward, a front by NSGA-II.", group=SEARCHING
        ),
    ] = "coarse-to-fine",
    jobs: Annotated[
        int,
        Parameter(
            help="Processes that score children beside each other; 0: one for each core, 8 at most.",
            validator=NATURAL,
            group=SPREAD,
        ),
    ] = 0,
    cluster: Cluster = None,
    against: Annotated[
        tuple[str, ...],
        Parameter(
            help="Also train this network alone, scaled to the winners' MACs: efficientnet_b0, efficientnet_b0@tiny.",
            group=SEARCHING,
        ),
    ] = (),
    finish: Annotated[
        int,
        Parameter(
            help="Also train each winner on for so many epochs, with the biggest child as its teacher.",
            validator=NATURAL,
            group=SEARCHING,
        ),
    ] = 0,
    training: Training = DEFAULTS,
) -> None:
    """Train one supernet on DATA and cut a finished network out of it for each budget; none is trained again without --finish.

    A tenth of the training images is held out to choose by. Each winner is a run of its own in RUN/children/BUDGET,
    evaluated on the validation images, exported and measured; trained on it is another one, in RUN/finished/BUDGET. A search
    that was stopped goes on with `resume RUN`.
    """
    from ..jobs.search import begin as searching
    from ..latency import Runtime as milliseconds_of

    options = replace(training.options(), weights=weights)
    how = searching.SearchOptions(
        space=space,
        labels_first=labels_first,
        rounds=generations,
        per_round=per_generation,
        threads=threads,
        runtime=milliseconds_of(runtime),
        select=searching.Selector(select),
        scorers=jobs,
        cluster=cluster,
        against=against,
        finish=finish,
    )
    if training.dry_run:
        from ..jobs.search.rehearsal import rehearse_search

        told(rehearse_search(data, to=to, options=options, how=how, watcher=watching()), training.json)
        return
    run = searching.search(data, to=to, options=options, how=how, watcher=watching())
    finished(run, training.json)


def finished(run: RunFolder, json: bool) -> None:
    """Say what a search found."""
    from ..jobs.search.page import handed_over, missed
    from ..training import rank_here
    from ..units import human

    if rank_here() > 0:
        return
    shipped, foils = handed_over(run), run.foils
    if json:
        children, alone = [one.to_record() for one in shipped], [foil.to_record() for foil in foils]
        emit({"run": str(run.path), "children": children, "alone": alone, "report": str(run.file("report.html"))})
        return
    cells = [
        [
            one.row.budget,
            one.scores.headline.text,
            one.scores.headline.ends(" to "),
            human(one.row.macs),
            human(one.row.params),
            f"{one.ms:.3g}",
        ]
        for one in shipped
    ]
    name = run.front.metric.words.replace(" ", "_")
    ms = "ms" + "".join(f"_in_{one}" for one in {one.runtime for one in shipped} - {"ort"})
    out.print(table(None, f"<budget {name} interval MACs params {ms}", cells))
    for one in shipped:
        if said := missed(one.met):
            out.print(f"missed   {one.row.budget}: {said}", soft_wrap=True)
    if done := [(one, one.finished) for one in shipped if one.finished is not None]:
        rows = [
            [
                one.row.budget,
                own.scores.headline.text,
                own.scores.headline.ends(" to "),
                own.gain_text,
                f"{own.ms:.3g}",
            ]
            for one, own in done
        ]
        out.print(table(None, f"<trained_on {name} interval gain {ms}", rows))
    if foils:
        beside = [
            [
                foil.against,
                foil.budget,
                foil.failed or foil.score.text,
                "-" if foil.failed else foil.score.ends(" to "),
                human(foil.macs),
                human(foil.params),
            ]
            for foil in foils
        ]
        out.print(table(None, f"<trained_alone <for {name} interval MACs params", beside))
    out.print(f"children {run.file('children')}", soft_wrap=True)
    out.print(f"report   {run.file('report.html')}", soft_wrap=True)
