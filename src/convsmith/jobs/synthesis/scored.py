"""What a generator is worth on its data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...arch import ArchSpec
from ...data import ImageData, Split
from ...evals import Synthesised, evaluate
from ...layers import settle
from ...model import Model
from ...scores import Scores, Sheet
from ...tasks import Synthesise
from ...tasks.synthesise import latent_of
from ...watcher import Watcher
from ..feed import normaliser, validation_batches
from .judge import Judging, judge_of
from .making import stood
from .sheets import keep_sheet, sheets_of

__all__ = ["Generated"]


class Generated:
    """The examiner (`jobs.examiner.Examiner`) of generators: holds what one makes against `images`, by a judge that is found, or
    trained, when it is first needed. `place` is the run's folder, in which the judge is kept."""

    def __init__(
        self, task: Synthesise, spec: ArchSpec, images: ImageData, place: Path, where: torch.device, watcher: Watcher
    ) -> None:
        self._task, self._images, self._place, self._where, self._watcher = task, images, place, where, watcher
        self._judge: Judging | None = None

    def brief(self, model: nn.Module) -> dict[str, float]:
        """After an epoch: some of the metrics, of few images."""
        scores = self._scores(model, _spread(self._images.val, self._task.few), brief=True)
        return {f"val_{name}": scores[name] for name in self._task.watched}

    def keep(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """A sheet of what it makes of the same latents every time."""
        assert isinstance(model, Model)
        keep_sheet(model, self._place, epoch, epochs)

    def settle(self, model: Model) -> None:
        """Spectral norms of weights that change no more, and standing statistics: the average that is shipped has estimates and
        statistics of other weights."""
        settle(model)
        stood(model, latent_of(model.spec), None, anew=True)

    def scores(self, model: nn.Module, part: Split | None = None) -> Scores:
        """All of it, on the validation images or on another part of some data."""
        return self._scores(model, _spread(self._images.val if part is None else part, self._task.n))

    def _scores(self, model: nn.Module, part: Split, *, brief: bool = False) -> Scores:
        assert isinstance(model, Model)
        spec = model.to(self._where).spec
        if self._judge is None:
            self._judge = judge_of(self._task, spec, self._images, self._place, self._where, self._watcher)
        more: Callable[[], tuple[Sheet, ...]] = tuple if brief else lambda: sheets_of(model, self._place)
        meter = Synthesised(self._images.classes, self._judge, brief=brief, sheets=more)
        return evaluate(
            self._task.asked(model),
            validation_batches(spec, part)(),
            meter,
            prepare=normaliser(spec, self._where),
            device=self._where,
        )


def _spread(part: Split, most: int) -> Split:
    """At most so many of a part, evenly spread: it may be in the order of its classes."""
    if len(part) <= most:
        return part
    return part.take(np.linspace(0, len(part) - 1, most).round().astype(int))
