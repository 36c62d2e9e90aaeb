"""`convsmith design` and `convsmith demo`: the main job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import UserError
from .early import known_model, known_rule
from .options import BUDGET, BUDGETS, NETWORK, RULE_HELP, Data, Runtime, Threads, Weights
from .output import watching

if TYPE_CHECKING:
    pass

from .training import DEFAULTS, Training, carried_out

__all__ = ["demo", "design"]


def design(
    data: Data,
    /,
    *,
    to: Annotated[str, BUDGET],
    base: Annotated[
        str | None,
        Parameter(
            help="What to scale: a name or a spec .json. Default: efficientnet_b0.",
            validator=known_model,
            group=NETWORK,
        ),
    ] = None,
    rule: Annotated[
        str | None,
        Parameter(
            help=f"{RULE_HELP} Default: compound; with --weights resolution.", validator=known_rule, group=NETWORK
        ),
    ] = None,
    weights: Weights = None,
    how: Annotated[
        Literal["scale", "search"],
        Parameter(
            help="scale BASE by RULE, or cut the network out of a supernet of SPACE, as `search` does.", group=BUDGETS
        ),
    ] = "scale",
    space: Annotated[
        str | None, Parameter(help="With --how search: t32 (the default), bignas, or a model.", group=NETWORK)
    ] = None,
    runtime: Runtime = "ort",
    threads: Annotated[Threads, Parameter(help="For a budget in milliseconds: threads of the runtime.")] = 1,
    training: Training = DEFAULTS,
) -> None:
    """The main job: a trained network for DATA that meets the budget, exported, measured, with a report."""
    if how == "search":
        from .search import search

        if base is not None or rule is not None:
            raise UserError(
                "--base and --rule are for --how scale; with --how search, --space says which networks there are"
            )

        # A comma joins the limits of one budget here, and several budgets there.
        search(
            data,
            to=to.replace(",", "+"),
            space=space,
            weights=weights,
            runtime=runtime,
            threads=threads,
            training=training,
        )
        return
    if space is not None:
        raise UserError("--space is for --how search; BASE and RULE say what --how scale chooses from")
    options = replace(training.options(), weights=weights)
    from ..jobs.train.begin import design_job

    watcher = watching()
    found = design_job(data, to, base, rule, options, watcher, runtime=runtime, threads=threads)
    carried_out(found, training)


def demo(*, training: Training = DEFAULTS) -> None:
    """The main job on 1,797 real handwritten digits: `design digits --to 2M-macs`."""
    design(
        "digits", to="2M-macs", training=training if training.out or training.name else replace(training, name="demo")
    )
