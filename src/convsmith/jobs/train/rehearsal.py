"""What a training job would take, from a few of its own steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from ...arch import ArchSpec
from ...codec import to_data
from ...costs import cost
from ...machine import peak_bytes
from ...model import build
from ...recipe import Recipe
from ...resolve import device
from ...training.optim import optimiser
from ...units import Cost
from ...watcher import Watcher
from ..feed import Feed, normaliser
from .begin import Job, sound

__all__ = ["Rehearsal", "memory", "peak_gib", "rehearse", "seconds_a_step"]

STEPS = 4


@dataclass(frozen=True)
class Rehearsal:
    """An estimate: `seconds_a_step` is the fastest of the steps tried, `memory_gib` the process's peak so far, NaN
    where the system does not say."""

    name: str
    cost: Cost
    train_images: int
    val_images: int
    epochs: int
    steps: int
    seconds_a_step: float
    memory_gib: float
    device: str

    @property
    def hours(self) -> float:
        return self.steps * self.seconds_a_step / 3600

    def lines(self) -> list[str]:
        return [
            f"would train {self.name}: {self.cost}",
            f"on {self.train_images} images, validating on {self.val_images}: {self.epochs} epochs, {self.steps} steps",
            f"about {self.hours:.2f} hours on {self.device} ({1000 * self.seconds_a_step:.0f} ms a step, without evaluation), "
            f"{memory(self.memory_gib)}",
            "nothing was trained and nothing was written",
        ]

    def to_record(self) -> dict[str, object]:
        record: dict[str, object] = to_data(self)
        return record | {"hours": self.hours, "dry_run": True}


def rehearse(job: Job, watcher: Watcher) -> Rehearsal:
    """Take a few steps of the job on its own data, with a model that is thrown away."""
    if job.found is not None:
        sound(job.found.spec, None)
    watcher.stage("rehearse", f"{STEPS} steps")
    where, spec, recipe = device(), job.spec, job.recipe
    feed = Feed(spec, job.images, recipe, job.options.seed, job.options.workers)
    a_step = seconds_a_step(spec, recipe, feed, seed=job.options.seed)
    return Rehearsal(
        name=spec.name,
        cost=cost(spec),
        train_images=len(job.images.train),
        val_images=len(job.images.val),
        epochs=recipe.epochs,
        steps=recipe.epochs * feed.steps_per_epoch,
        seconds_a_step=a_step,
        memory_gib=peak_gib(where),
        device=str(where),
    )


def seconds_a_step(spec: ArchSpec, recipe: Recipe, feed: Feed, *, seed: int = 0, threads: int | None = None) -> float:
    """The fastest of a few steps on the feed's own batches, with a model that is thrown away, in torch's threads or so many."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads or before)
        return min(_steps(spec, recipe, feed, seed))
    finally:
        torch.set_num_threads(before)


def _steps(spec: ArchSpec, recipe: Recipe, feed: Feed, seed: int) -> list[float]:
    where, normalise = device(), normaliser(spec, device())
    model = build(spec, seed=seed).to(where).to(memory_format=torch.channels_last).train()
    optim, times = optimiser(model, recipe), []
    began = time.perf_counter()
    for batch in feed.batches(0, STEPS):
        loss = F.cross_entropy(model(normalise(batch.images)), batch.labels.to(where))
        loss.backward()  # type: ignore[no-untyped-call]
        optim.step()
        optim.zero_grad()
        loss.item()
        times.append(time.perf_counter() - began)
        began = time.perf_counter()
    return times


def peak_gib(where: torch.device) -> float:
    """The most memory in GiB that was held so far: the process's, or on an accelerator what torch gave out there. NaN
    where the system does not say."""
    if where.type == "cuda":
        return torch.cuda.max_memory_allocated(where) / 2**30
    held = peak_bytes()
    return math.nan if held is None else held / 2**30


def memory(gib: float) -> str:
    """So much memory, in words."""
    return "memory unknown on this system" if math.isnan(gib) else f"{gib:.1f} GiB of memory"
