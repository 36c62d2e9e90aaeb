"""How long a scaling study takes, from a few steps of its base: for `--dry-run`, and for `--hours` to choose the epochs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from ...costs import cost
from ...data import ImageData
from ...errors import UserError
from ...files import write_json
from ...tasks import task_for
from ...units import duration, human, plural
from ...watcher import Watcher
from ..feed import Feed
from ..timing.steps import seconds_a_step
from .scaling import SHARES, Plan, candidates

__all__ = ["afforded", "listed"]


def afforded(
    plan: Plan, images: ImageData, hours: float, workers: int, out: Path, watcher: Watcher, *, keep: bool = True
) -> Plan:
    """The plan with as many epochs as its trainings can have in so many hours on `workers` processes.

    The number is kept in `out`, unless `keep` is false, so that a study that is resumed on a slower day is still the same.

    Raises:
        UserError: not even one epoch fits, or the study in `out` was begun with other hours.
    """
    if hours <= 0:
        raise UserError(f"--hours must be above 0; got {hours:g}")
    kept = out / "hours.json"
    if kept.exists():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["hours"] != hours:
            raise UserError(
                f"the study in {out} was begun with --hours {before['hours']:g}, for {before['epochs']} epochs: give that, or "
                "another --out"
            )
        return replace(plan, recipe=replace(plan.recipe, epochs=int(before["epochs"])))
    each = _hours_an_epoch(plan, images) / workers
    epochs = int(hours / each)
    if epochs < 1:
        raise UserError(
            f"one epoch of every training takes about {duration(3600 * each)} here; --hours {hours:g} is less"
        )
    watcher.note(f"{plural(epochs, 'epoch')} of every training fit into {duration(3600 * hours)}")
    if keep:
        write_json(kept, {"hours": hours, "epochs": epochs})
    return replace(plan, recipe=replace(plan.recipe, epochs=epochs))


def listed(plan: Plan, images: ImageData, workers: int) -> tuple[list[dict[str, object]], str]:
    """The networks that would be tried, and what the whole study would take."""
    rows: list[dict[str, object]] = []
    for _, spec in candidates(plan):
        found = cost(spec)
        rows.append(
            {
                "network": spec.name,
                "px": spec.input.resolution,
                "blocks": spec.depth,
                "macs": human(found.macs),
                "params": human(found.params),
            }
        )
    hours = _hours_an_epoch(plan, images) * plan.recipe.epochs / workers
    return rows, (
        f"about {duration(3600 * hours)} for all trainings on {plural(workers, 'process')}, members of the rule "
        "and held-out ones included; nothing was trained and nothing was written"
    )


def _hours_an_epoch(plan: Plan, images: ImageData) -> float:
    """One epoch of every training of the plan, by one process, taking time to follow multiply-adds."""
    feed = Feed(plan.base, images, plan.recipe, 0, 0)
    a_step = seconds_a_step(plan.base, task_for(images), plan.recipe, feed, threads=1)
    base = cost(plan.base).macs
    seeds = 1 if plan.rule == "tiny" else plan.seeds
    units = seeds * sum(cost(spec).macs / base for _, spec in candidates(plan))
    below, above = SHARES[plan.rule]
    units += plan.seeds * (1 + len(plan.against)) * sum((*below, *above))
    return a_step * feed.steps_per_epoch * units / 3600
