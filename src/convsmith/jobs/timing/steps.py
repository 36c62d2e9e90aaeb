"""How long steps of a training take: the loop's own, with weights that are thrown away."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...arch import ArchSpec
from ...data import Batch
from ...machine import peak_bytes
from ...model import build
from ...recipe import Recipe
from ...resolve import device
from ...tasks import Task
from ...threads import in_threads
from ...training import Feed, Lookout, Trainee, fit
from ...watcher import Started, StepDone
from ..feed import normaliser

__all__ = ["STEPS", "Repeated", "memory", "peak_gib", "seconds_a_step", "seconds_of_steps"]

STEPS = 4


@dataclass(frozen=True)
class Repeated:
    """A feed of one batch, again and again: what it takes to make batches is left out."""

    batch: Batch
    steps_per_epoch: int = 100

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        return (self.batch for _ in range(first, last))


def seconds_of_steps(
    trainee: Trainee,
    recipe: Recipe,
    feed: Feed,
    *,
    prepare: Callable[[Tensor], Tensor],
    seed: int = 0,
    lookout: Lookout | None = None,
    where: torch.device | None = None,
) -> list[float]:
    """The seconds of each of a few steps of this very training, the waiting for its batches included. The trainee is trained."""
    where, times = where or device(), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        records = fit(
            trainee,
            recipe,
            feed,
            prepare=prepare,
            evaluate=lambda handed: {},
            checkpoint=Path(folder) / "last.pt",
            device=where,
            seed=seed,
            lookout=lookout,
        )
        began = time.perf_counter()
        with closing(records):  # type: ignore[type-var]  # a generator, which an iterator need not be
            for record in records:
                if where.type == "cuda":
                    torch.cuda.synchronize()
                if isinstance(record, StepDone):
                    times.append(time.perf_counter() - began)
                    if len(times) == STEPS:
                        break
                if isinstance(record, Started | StepDone):
                    began = time.perf_counter()
    return times


def seconds_a_step(
    spec: ArchSpec,
    task: Task,
    recipe: Recipe,
    feed: Feed,
    *,
    seed: int = 0,
    threads: int | None = None,
    where: torch.device | None = None,
) -> float:
    """The fastest of a few steps of training `spec`, in torch's threads or so many."""
    with in_threads(threads):
        trainee = task.trainee(build(spec, seed=seed), recipe, seed)
        where = where or device()
        return min(seconds_of_steps(trainee, recipe, feed, prepare=normaliser(spec, where), seed=seed, where=where))


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
