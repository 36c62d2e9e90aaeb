"""Who examines what is trained, after each epoch and at its end: by the task's meter alone, or with what the task needs besides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from ..arch import ArchSpec
from ..data import ImageData, Split
from ..evals import evaluate
from ..scores import Scores
from ..tasks import Synthesise, Task
from ..watcher import Watcher
from .feed import normaliser, score_on, validation_batches
from .synthesis.scored import Generated

__all__ = ["Examiner", "Metered", "examiner_of"]


class Examiner(Protocol):
    """Looks at a network that was trained on some data."""

    def brief(self, model: nn.Module) -> dict[str, float]:
        """After an epoch: what its line in `metrics.jsonl` says, by name."""

    def keep(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """Keep in the run's folder what is to be seen of an epoch, counted from 1."""

    def settle(self, model: Any) -> None:
        """What is left to do to the network that is shipped."""

    def scores(self, model: nn.Module, part: Split | None = None) -> Scores:
        """All that an evaluation says, of the validation images or of another part."""


class Metered:
    """By the task's meter: of nearly every task."""

    def __init__(
        self, task: Task, spec: ArchSpec, images: ImageData, place: Path, where: torch.device, watcher: Watcher
    ) -> None:
        self._task, self._spec, self._images, self._where = task, spec, images, where
        self._validation = validation_batches(spec, images.val)

    def brief(self, model: nn.Module) -> dict[str, float]:
        meter = self._task.meter(self._images.classes, pictures=0)
        prepare = normaliser(self._spec, self._where)
        scores = evaluate(model, self._validation(), meter, prepare=prepare, device=self._where)
        told = dict.fromkeys((scores.headline.name, *self._task.watched, "loss"))
        return {f"val_{one.name}": one.value for name in told for one in scores.metrics if one.name == name}

    def keep(self, model: nn.Module, epoch: int, epochs: int) -> None:
        pass

    def settle(self, model: Any) -> None:
        pass

    def scores(self, model: nn.Module, part: Split | None = None) -> Scores:
        split = self._images.val if part is None else part
        classes, roots = self._images.classes, self._images.roots
        return score_on(model, self._spec, split, classes, self._where, self._task, roots)


# Tasks that need more than a meter.
_OF: dict[type[Task], Callable[..., Examiner]] = {Synthesise: Generated}


def examiner_of(
    task: Task, spec: ArchSpec, images: ImageData, place: Path, where: torch.device, watcher: Watcher
) -> Examiner:
    """Who examines networks of `spec` that were trained on `images`. `place` is the run's folder, where it may keep things."""
    return _OF.get(type(task), Metered)(task, spec, images, place, where, watcher)
