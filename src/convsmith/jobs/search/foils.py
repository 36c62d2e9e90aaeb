"""What a search's children are held against: networks scaled to the same multiply-adds, each trained alone."""

from __future__ import annotations

from dataclasses import replace

from ...costs import cost
from ...data import ImageData
from ...errors import BudgetError
from ...evals.intervals import counted
from ...recipe import Recipe, SandwichRule
from ...resolve import spec as resolve_spec
from ...runs import Foil, RunFolder
from ...scaling import rule as named_rule
from ...scores import named
from ...units import Budget, plural
from ...watcher import Watcher
from ..feed import task_of
from ..fitting import fitted_to
from ..scale import scale
from ..studies.trials import Trial, train_all
from ..train.begin import regularised
from .options import SearchOptions

__all__ = ["parsed", "train_foils"]


def parsed(name: str) -> tuple[str, str]:
    """(base, rule) of `efficientnet_b0` or `efficientnet_b0@tiny`; the compound rule where none is named.

    Raises:
        UserError: no such network or rule.
    """
    base, _, rule = name.partition("@")
    resolve_spec(base)
    named_rule(rule or "compound")
    return base, rule or "compound"


def train_foils(
    run: RunFolder, how: SearchOptions, recipe: Recipe, parts: ImageData, images: ImageData, watcher: Watcher
) -> tuple[Foil, ...]:
    """For every winner and every name in `how.against` its member of the winner's multiply-adds, trained and scored.

    Trained on the images that the supernet was trained on, for as many epochs of the same recipe; scored on the validation
    images, as the winners are. A winner that is smaller than a rule's smallest member has no foil of it, which is noted.
    """
    recipe = replace(recipe, sandwich=SandwichRule())  # which is of children alone
    seed, winners, task = run.seed, run.front.winners, task_of(run.config)
    asked: list[tuple[str, str, Trial]] = []
    for name in how.against:
        base, rule = parsed(name)
        for winner in winners:
            try:
                member = fitted_to(resolve_spec(base), task, images)
                found = scale(member, to=Budget(macs=winner.macs), rule=rule).spec
            except BudgetError as error:
                watcher.note(f"nothing of {name} to hold {winner.budget} against: {error}")
                continue
            asked.append((name, winner.budget, Trial(regularised(found, recipe), recipe, seed)))
    watcher.stage(
        "against", f"{plural(len(asked), 'network')} scaled to the winners' multiply-adds, each trained alone"
    )
    scored_on = replace(parts, val=images.val)
    outcomes = train_all(
        [trial for *_, trial in asked],
        scored_on,
        run.file("against"),
        workers=how.processes,
        cluster=how.cluster,
        watcher=watcher,
    )
    return tuple(
        Foil(
            against=name,
            budget=budget,
            spec=trial.spec.name,
            resolution=trial.spec.input.resolution,
            macs=cost(trial.spec).macs,
            params=cost(trial.spec).params,
            score=counted(named(task.headline, own.top1), own.n),
            n=own.n,
            failed=own.failed,
        )
        for (name, budget, trial), own in zip(asked, outcomes, strict=True)
    )
