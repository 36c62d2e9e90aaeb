"""How good a supernet's children are: calibrated, scored on images that nothing was trained on, and remembered on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...arch import ArchSpec
from ...data import ImageData, Split, eval_batches, held, span_of
from ...errors import UserError
from ...evals import evaluate
from ...evals.intervals import counted
from ...files import append_line, write_text
from ...model import Model
from ...scores import Metric, named
from ...supernet import Genes, Supernet, recalibrate
from ...tasks import Task
from ...threads import in_threads
from ...units import plural
from ...watcher import Watcher
from ..feed import at_once, normaliser
from ..studies.farm import Farm

__all__ = ["Examiner", "Scorer", "examined"]


class Examiner:
    """A function from genes to a child's headline score on the validation part of `images`: images held out from training.

    Each child is extracted, given its own statistics by `calibration` (batches of bytes at the biggest resolution) and
    scored on images decoded and resized for its resolution, as its exported twin would be. On a CPU a child is scored by one
    thread, so that its score does not depend on where it is done. Nothing of it changes but what it remembers, and it can be
    pickled: a farm's shared part.
    """

    def __init__(
        self,
        supernet: Supernet,
        images: ImageData,
        calibration: Sequence[Tensor],
        task: Task,
        *,
        device: torch.device,
    ) -> None:
        # Nothing is scored on training images; a farm's processes are spared them.
        self._supernet, self._calibration, self.device = supernet, calibration, device
        self._classes, self._val, self._task = images.classes, images.val, task
        self._shown: dict[tuple[tuple[int, int], int], list[Split]] = {}

    @property
    def n(self) -> int:
        """How many images a score is of."""
        return len(self._val)

    def __call__(self, genes: Genes) -> Metric:
        """Its headline score; NaN where its outputs are not finite, which no selection keeps."""
        return self.in_parts(genes, 1)[0]

    def in_parts(self, genes: Genes, parts: int) -> tuple[Metric, ...]:
        """Its headline score by each of `parts` parts of the images: every so many-th, so that all have as many of each class."""
        model = self.child(self._supernet.space.spec(genes))
        return tuple(self.headline(model, part, parts) for part in range(parts))

    def child(self, spec: ArchSpec) -> Model:
        """The stand-alone network of `spec`, fit to be evaluated."""
        model = self._supernet.extract(spec)
        self.recalibrate(model)
        return model

    def recalibrate(self, model: Model) -> None:
        """Give the norms of a child, whatever its weights have become, statistics of the calibration images."""
        with in_threads(1 if self.device.type == "cpu" else None):
            recalibrate(model, self._calibration, prepare=normaliser(self._supernet.space.biggest(), self.device))

    def headline(self, model: Model, part: int = 0, parts: int = 1) -> Metric:
        """The score of a network that `child` made, by one of so many parts of the images."""
        sides, channels = model.spec.input.sides, model.spec.input.channels
        if (sides, parts) not in self._shown:  # there are a handful of resolutions and hundreds of children
            some = (self._val.take(np.arange(first, len(self._val), parts)) for first in range(parts))
            shown = [held(one, sides=sides, channels=channels) for one in (some if parts > 1 else [self._val])]
            self._shown[sides, parts] = shown
        batches = eval_batches(
            self._shown[sides, parts][part],
            sides=sides,
            channels=channels,
            batch=at_once(model.spec),
            span=span_of(model.spec.input),
        )
        try:
            with in_threads(1 if self.device.type == "cpu" else None):
                found = evaluate(
                    model.to(self.device),
                    batches,
                    self._task.meter(self._classes, pictures=0),
                    prepare=normaliser(model.spec, self.device),
                    device=self.device,
                )
        except UserError:
            return named(self._task.headline, math.nan)
        return found.headline


def examined(examiner: Examiner, asked: tuple[Genes, int]) -> tuple[Metric, ...]:
    """What a farm's process does: a child's scores by so many parts of the images."""
    return examiner.in_parts(*asked)


class Scorer:
    """A function from many genes to the worths of their scores by an `examiner`, each made once.

    Of two worths the larger is better, whatever the metric; `known` holds them, and `metric` the scores themselves.
    What was scored is kept in `path`, one line a child, under `key`: a digest of the weights and the data. Scores of another
    key are not read. With a `farm` of the examiner the children of one call are scored beside each other.
    """

    def __init__(
        self,
        examiner: Examiner,
        *,
        path: Path,
        key: str,
        watcher: Watcher,
        farm: Farm[Examiner, tuple[Genes, int], tuple[Metric, ...]] | None = None,
    ) -> None:
        self.known: dict[Genes, float] = {}
        self._scores: dict[Genes, Metric] = {}
        self.examiner = examiner
        self._path, self._watcher, self._farm = path, watcher, farm
        self._read(key)

    def __call__(self, wanted: Sequence[Genes]) -> list[float]:
        new = [genes for genes in dict.fromkeys(wanted) if genes not in self.known]
        for done, (genes, (score,)) in enumerate(self._scored(new, 1), 1):
            self._keep(genes, score)
            append_line(self._path, json.dumps({"genes": genes} | score.to_row()))
            self._watcher.count("children", done, len(new))
        return [self.known[genes] for genes in wanted]

    def metric(self, genes: Genes) -> Metric:
        """The score of a child that is known, with its interval where it is a share."""
        return counted(self._scores[genes], self.n)

    def halves(self, wanted: Sequence[Genes]) -> list[tuple[float, float]]:
        """The worths of children by either half of the images. Nothing of them is kept."""
        found = {genes: (one.worth, other.worth) for genes, (one, other) in self._scored(wanted, 2)}
        return [found[genes] for genes in wanted]

    @property
    def n(self) -> int:
        """How many images a score is of."""
        return self.examiner.n

    def _keep(self, genes: Genes, score: Metric) -> None:
        self._scores[genes], self.known[genes] = score, score.worth

    def _scored(self, new: Sequence[Genes], parts: int) -> Iterator[tuple[Genes, tuple[Metric, ...]]]:
        if self._farm is None or len(new) < 2:
            return ((genes, self.examiner.in_parts(genes, parts)) for genes in new)
        by_name = {str(at): (genes, parts) for at, genes in enumerate(new)}
        return ((by_name[name][0], scores) for name, scores in self._farm(by_name))

    def _read(self, key: str) -> None:
        """Take over the lines of an earlier process up to the first torn one, and start the file with them."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        kept = [json.dumps({"key": key})]
        if lines and lines[0] == kept[0]:
            for line in lines[1:]:
                try:
                    own = json.loads(line)
                    genes, score = tuple(own["genes"]), Metric.from_row(own)
                except (ValueError, KeyError, TypeError, IndexError):
                    break
                self._keep(genes, score)
                kept.append(line)
            if self.known:
                self._watcher.note(f"scored before: {plural(len(self.known), 'child')}")
        text = "\n".join(kept) + "\n"
        write_text(self._path, text)
