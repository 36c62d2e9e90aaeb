"""What a search would take, from a few of its own steps and the scores of a few children."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np

from ...ambient import undisturbed
from ...codec import to_data
from ...costs import cost
from ...data import Split
from ...resolve import device
from ...supernet import Finishing, Sandwich, Space, Supernet, ends, skeletons
from ...training import Lookout, Trainee
from ...units import Cost, duration, plural
from ...watcher import Watcher
from ..feed import Feed, normaliser
from ..options import Options
from ..timing.steps import STEPS, memory, peak_gib, seconds_of_steps
from .options import SearchOptions
from .ranking import LOOKED_AT
from .request import Request, in_three
from .scores import Examiner
from .stages import CALIBRATION, calibration_of

__all__ = ["SearchRehearsal", "rehearse_search"]

# Images that a child is calibrated and scored with to see how long it takes, and children that are.
IMAGES, TRIED = 250, 3


@dataclass(frozen=True)
class SearchRehearsal:
    """An estimate, without measuring and handing over.

    `seconds_a_step` is the mean of the sandwiches tried, and of steps of the biggest alone in their share; `seconds_a_child` that
    of drawn children in one process, `scored` how many will be, more where budgets in milliseconds are missed at first;
    `seconds_of_finishing` what it takes to train the winners on; `memory_gib` is this process's peak so far.
    """

    space: str
    networks: int
    smallest: Cost
    biggest: Cost
    train_images: int
    held_out: int
    epochs: int
    steps: int
    seconds_a_step: float
    scored: int
    seconds_a_child: float
    scorers: int
    memory_gib: float
    device: str
    seconds_of_finishing: float = 0.0

    @property
    def hours(self) -> float:
        """Of training, of scoring and of training on."""
        scoring = self.scored * self.seconds_a_child / self.scorers
        return (self.steps * self.seconds_a_step + scoring + self.seconds_of_finishing) / 3600

    def lines(self) -> list[str]:
        return [
            f"would train {self.space}, {self.networks:,} networks, from {self.smallest} to {self.biggest}",
            f"on {plural(self.train_images, 'image')}, choosing by {self.held_out} others: {plural(self.epochs, 'epoch')}, "
            f"{plural(self.steps, 'sandwich')}, then score about {plural(self.scored, 'child')}",
            f"about {duration(3600 * self.hours)} on {self.device} ({1000 * self.seconds_a_step:.0f} ms a sandwich, "
            f"{self.seconds_a_child:.2g} s a child, {self.scorers} beside each other; without measuring and handing over), "
            f"{memory(self.memory_gib)}",
            "nothing was trained and nothing was written",
        ]

    def to_record(self) -> dict[str, object]:
        record: dict[str, object] = to_data(self)
        return record | {"hours": self.hours, "dry_run": True}


@undisturbed()
def rehearse_search(
    data: str | Path, *, to: str, options: Options, how: SearchOptions, watcher: Watcher
) -> SearchRehearsal:
    """Take a few steps of the search on its own data, with weights that are thrown away.

    Raises:
        UserError: what the search itself would refuse before it trains.
    """
    request = Request.of(data, to, options, how)
    images = replace(request.source.load(watcher), cache=None)  # building a cache would be writing
    space, recipe, _ = request.settled(images)
    request.refuse_slow(space)
    parts, where = in_three(images, options.seed), device(request.options.device)
    feed = Feed(space.biggest(), parts, recipe, options.seed, options.workers)
    supernet = Supernet(space, seed=options.seed)
    watcher.stage("rehearse", f"{STEPS} sandwiches, {TRIED} children")
    task, _ = request.learnt(images)
    prepare, chance = normaliser(space.biggest(), where), task.chance(parts.classes)

    def a_step_of(trainee: Trainee, lookout: Lookout | None = None) -> float:
        times = seconds_of_steps(
            trainee, recipe, feed, prepare=prepare, seed=options.seed, lookout=lookout, where=where
        )
        return mean(times[1:] or times)  # the first also builds what later ones find

    def a_sandwich(first: float) -> float:
        own = replace(recipe, sandwich=replace(recipe.sandwich, first=first))
        trainee = Sandwich(supernet, task, own, seed=options.seed, labels_first=how.labels_first)
        return a_step_of(trainee, ends(supernet, task, own, chance=chance))

    a_step, first = a_sandwich(0.0), recipe.sandwich.first
    if first:
        a_step = (1 - first) * a_step + first * a_sandwich(1.0)
    few = replace(parts, train=_few(parts.train), val=_few(parts.val))
    examiner = Examiner(supernet, few, calibration_of(space, few), task, device=where)
    fitted, scored = _seconds_of_children(examiner, space)
    finishing = 0.0
    if how.finish:
        child, teacher = (examiner.child(spec) for spec in (space.sample(random.Random(0)), space.biggest()))
        steps = len(request.budgets) * how.finish * feed.steps_per_epoch
        finishing = steps * a_step_of(Finishing(child, teacher, task, recipe))
    a_child = fitted * min(CALIBRATION, len(parts.train)) / len(few.train) + scored * len(parts.val) / len(few.val)
    return SearchRehearsal(
        space=space.base.name,
        networks=space.size(),
        smallest=cost(space.smallest()),
        biggest=cost(space.biggest()),
        train_images=len(parts.train),
        held_out=len(parts.val),
        epochs=recipe.epochs,
        steps=recipe.epochs * feed.steps_per_epoch,
        seconds_a_step=a_step,
        scored=len(skeletons(space)) + len(request.budgets) * (how.rounds * how.per_round + LOOKED_AT),
        seconds_a_child=a_child,
        scorers=how.processes if where.type == "cpu" else 1,
        memory_gib=peak_gib(where),
        device=str(where),
        seconds_of_finishing=finishing,
    )


def _seconds_of_children(examiner: Examiner, space: Space) -> tuple[float, float]:
    """Seconds in which a drawn child gets its statistics, and is scored."""
    rng, fitted, scored = random.Random(0), [], []
    for spec in (space.sample(rng) for _ in range(TRIED)):
        began = time.perf_counter()
        model = examiner.child(spec)
        fitted.append(time.perf_counter() - began)
        examiner.headline(model)  # the first of a resolution resizes the images
        began = time.perf_counter()
        examiner.headline(model)
        scored.append(time.perf_counter() - began)
    return mean(fitted), mean(scored)


def _few(split: Split) -> Split:
    return split.take(np.arange(min(IMAGES, len(split))))
