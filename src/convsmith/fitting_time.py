"""How long a scaling study takes, from a few steps of its base: for `--dry-run`, and for `--hours` to choose the epochs."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional as F

from .costs import cost
from .data import ImageData
from .errors import UserError
from .feed import Feed, Watcher, normaliser
from .fitting import SHARES, Plan, candidates
from .model import build
from .resolve import device
from .training.optim import optimiser
from .units import human

__all__ = ["afforded", "listed"]

STEPS = 3


def afforded(plan: Plan, images: ImageData, hours: float, workers: int, out: Path, watcher: Watcher) -> Plan:
    """The plan with as many epochs as its trainings can have in so many hours on `workers` processes.

    The number is kept in `out`, so that a study that is resumed on a slower day is still the same study.
    """
    if hours <= 0:
        raise UserError(f"--hours must be above 0; got {hours:g}")
    kept = out / "hours.json"
    if kept.exists():
        return replace(plan, recipe=replace(plan.recipe, epochs=int(json.loads(kept.read_text())["epochs"])))
    each = _hours_an_epoch(plan, images) / workers
    epochs = int(hours / each)
    if epochs < 1:
        raise UserError(f"one epoch of every training takes about {each:.2g} hours here; --hours {hours:g} is less")
    watcher.note(f"{epochs} epochs of every training fit into {hours:g} hours")
    out.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"hours": hours, "epochs": epochs}) + "\n", encoding="utf-8")
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
        f"about {hours:.2g} hours for all trainings on {workers} processes, members of the rule and held-out ones included; "
        "nothing was trained and nothing was written"
    )


def _hours_an_epoch(plan: Plan, images: ImageData) -> float:
    """One epoch of every training of the plan, by one process, taking time to follow multiply-adds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        where, spec = device(), plan.base
        feed = Feed(spec, images, plan.recipe, 0, 0)
        normalise = normaliser(spec, where)
        model = build(spec, seed=0).to(where).to(memory_format=torch.channels_last).train()
        optim, times = optimiser(model, plan.recipe), []
        began = time.perf_counter()
        for batch in feed.batches(0, STEPS):
            F.cross_entropy(model(normalise(batch.images)), batch.labels.to(where)).backward()  # type: ignore[no-untyped-call]
            optim.step()
            optim.zero_grad()
            times.append(time.perf_counter() - began)
            began = time.perf_counter()
    finally:
        torch.set_num_threads(threads)
    base = cost(plan.base).macs
    seeds = 1 if plan.rule == "tiny" else plan.seeds
    units = seeds * sum(cost(spec).macs / base for _, spec in candidates(plan))
    below, above = SHARES[plan.rule]
    units += plan.seeds * (1 + len(plan.against)) * sum((*below, *above))
    return min(times) * feed.steps_per_epoch * units / 3600
