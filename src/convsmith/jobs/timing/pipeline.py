"""Where the time of a training step goes: reading, augmenting, waiting, stepping."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...data import span_of, train_batches
from ...data.pictures import unwarned
from ...data.spans import ONE
from ...machine import this_machine
from ...recipe import Augment, Recipe
from ...recipes import recipe as named_recipe
from ...recipes import settle
from ...resolve import spec as resolve_spec
from ...tasks import Task, task_for
from ...threads import in_threads
from ...units import plural
from ...watcher import Watcher
from ..feed import Feed
from ..fitting import fitted_to
from ..source import Source
from .steps import Repeated, seconds_a_step

__all__ = ["DataTimes", "examine_data"]


@dataclass(frozen=True)
class DataTimes:
    """Milliseconds an image: `decode` reads and decodes it, `augment` makes of it what a step sees, `step` trains on it.

    The first two are of one thread, as in a worker; without workers as many threads decode as torch has. `supplied` and
    `consumed` are images a second that the feed gives with `workers` and that the network takes. `advised` is the number
    of workers that would keep the network busy, within what the machine has.
    """

    images: int
    decode: float
    augment: float
    step: float
    supplied: float
    consumed: float
    workers: int
    cores: int

    @property
    def advised(self) -> int:
        one = (self.decode + self.augment) / 1e3
        needed = self.consumed * one  # workers that together keep up
        return 0 if needed <= 0.1 else min(max(1, round(needed + 0.5)), max(self.cores - 1, 1))

    @property
    def waits(self) -> float:
        """The share of a step that is spent waiting for images."""
        return max(0.0, 1 - self.supplied / self.consumed)

    @property
    def verdict(self) -> str:
        if self.waits < 0.1:
            return (
                f"the network is what takes the time: with {plural(self.workers, 'worker')} it waits for "
                f"images {self.waits:.0%} of it"
            )
        decoding = self.decode >= self.augment
        ways = [f"--workers {self.advised}"] if self.advised > self.workers else []
        ways += ["--cache FOLDER, which decodes once for all epochs"] if decoding else []
        return (
            f"the network waits for images {self.waits:.0%} of the time, and "
            f"{'decoding' if decoding else 'augmenting'} is what takes it: try {' or '.join(ways) or 'fewer operations'}"
        )

    def to_record(self) -> dict[str, object]:
        return {
            "images": self.images, "decode_ms": self.decode, "augment_ms": self.augment, "step_ms": self.step,
            "supplied_per_s": self.supplied, "consumed_per_s": self.consumed, "workers": self.workers,
            "advised_workers": self.advised, "waits": self.waits, "verdict": self.verdict,
        }  # fmt: skip


@undisturbed()
def examine_data(
    data: str | Path,
    *,
    model: str | ArchSpec = "resnet18",
    recipe: str | Recipe = "quick",
    workers: int = 0,
    images: int = 256,
    watcher: Watcher | None = None,
) -> DataTimes:
    """Time the parts of training `model` on `data` by `recipe` over `images` of its training images.

    The step is the training loop's own, on one batch again and again, on this machine's device. Reading is from
    wherever the images lie now; a second look at the same files may be quicker, since the system keeps them in memory.
    """
    watcher = watcher or Watcher()
    found = Source(str(data)).load(watcher)
    task = task_for(found)
    spec = fitted_to(resolve_spec(model), task, found)
    chosen = settle(named_recipe(recipe) if isinstance(recipe, str) else recipe, spec)
    span = span_of(spec.input)
    channels, batch = spec.input.channels, min(chosen.batch, len(found.train))
    steps = max(2, images // batch)

    def per_image(augment: Augment, workers: int) -> float:
        feed = train_batches(found.train, sides=spec.input.sides, channels=channels, batch=batch, augment=augment, seed=0,
                             first_step=0, last_step=steps + 1, workers=workers, span=span)  # fmt: skip
        seen, began = 0, 0.0
        for at, one in enumerate(feed):
            if at == 0:  # workers start, and what is held is made
                began = time.perf_counter()
            else:
                seen += len(one.answers)
        return 1e3 * (time.perf_counter() - began) / max(seen, 1)

    watcher.stage("decode", f"{steps} batches of {batch}")
    order = np.random.default_rng(0).permutation(len(found.train))[: steps * batch]
    began, read = time.perf_counter(), 0
    with unwarned():
        for i in order:
            try:
                found.train.inputs.clip(int(i), span or ONE, 0.5, channels=channels, least=2 * max(spec.input.sides))
            except OSError:
                continue
            read += 1
    decode = 1e3 * (time.perf_counter() - began) / max(read, 1)
    watcher.stage("augment", f"the recipe's, in this process, then with {workers} workers")
    with in_threads(1):
        both = per_image(chosen.augment, 0)
    supplied = 1e3 / per_image(chosen.augment, workers)
    watcher.stage("step", f"{spec.name} at {spec.input.px} px")
    recipe_here = replace(chosen, batch=batch)
    step = _step(spec, task, recipe_here, Feed(spec, found, recipe_here, 0, 0))
    return DataTimes(
        read, decode, max(both - decode, 0.0), step, supplied, 1e3 / step, workers, this_machine().cores
    )  # fmt: skip


def _step(spec: ArchSpec, task: Task, recipe: Recipe, feed: Feed) -> float:
    """Milliseconds an image of the recipe's whole step: mixing, precision, parts, clipping, averaging and all."""
    batch = next(iter(feed.batches(0, 1)))
    return 1e3 * seconds_a_step(spec, task, recipe, Repeated(batch)) / max(len(batch.answers), 1)
