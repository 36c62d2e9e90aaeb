"""What a search's children are held against: networks scaled to the same multiply-adds, each trained alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...costs import cost
from ...data import ImageData
from ...errors import BudgetError
from ...evals.intervals import wilson
from ...recipe import Recipe
from ...resolve import spec as resolve_spec
from ...runs import Run
from ...scaling import rule as named_rule
from ...units import Budget
from ...watcher import Watcher
from ..scale import scale
from ..studies.trials import Trial, train_all
from ..train.begin import regularised
from .options import SearchOptions

__all__ = ["foils_of", "parsed", "train_foils"]


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
    run: Run, how: SearchOptions, recipe: Recipe, parts: ImageData, images: ImageData, watcher: Watcher
) -> dict[str, Any]:
    """`foils.json`: for every winner and every name in `how.against` its member of the winner's multiply-adds, trained and scored.

    Trained on the images that the supernet was trained on, for as many epochs of the same recipe; scored on the validation
    images, as the winners are. A winner that is smaller than a rule's smallest member has no foil of it, which is noted.
    """
    seed = run.read("config.json")["seed"]
    rows: list[dict[str, Any]] = []
    trials: list[Trial] = []
    for name in how.against:
        base, rule = parsed(name)
        for winner in run.read("front.json")["winners"]:
            try:
                found = scale(base, to=Budget(macs=winner["macs"]), rule=rule, classes=len(images.classes)).spec
            except BudgetError as error:
                watcher.note(f"nothing of {name} to hold {winner['budget']} against: {error}")
                continue
            needs = cost(found)
            rows.append(
                {"against": name, "budget": winner["budget"], "spec": found.name, "resolution": found.input.resolution}
                | {"macs": needs.macs, "params": needs.params}
            )
            trials.append(Trial(regularised(found, recipe), recipe, seed))
    watcher.stage("against", f"{len(trials)} networks scaled to the winners' multiply-adds, each trained alone")
    scored_on = replace(parts, val=images.val)
    outcomes = train_all(
        trials, scored_on, run.file("against"), workers=how.processes, cluster=how.cluster, watcher=watcher
    )
    scores = [
        {"top1": own.top1, "top1_interval": wilson(round(own.top1 * own.n), own.n), "n": own.n, "failed": own.failed}
        for own in outcomes
    ]
    return {"rows": [row | own for row, own in zip(rows, scores, strict=True)]}


def foils_of(run: Run) -> list[dict[str, Any]]:
    """A row a network: `against`, `budget`, `spec`, `resolution`, `macs`, `params`, `top1`,
    `top1_interval`, `n`, `failed` or nothing."""
    rows: list[dict[str, Any]] = run.read("foils.json")["rows"] if run.has("foils.json") else []
    return rows
