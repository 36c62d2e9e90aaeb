"""A layer in its networks: whether it is stable, whether it learns, and how well, by one thread wherever that is."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ...arch import ArchSpec
from ...data import Batch, ImageData, eval_batches, held
from ...errors import first_line
from ...graphs import NormGraph
from ...model import build
from ...parts import GraphNorm
from ...tasks import Task
from ..feed import normaliser
from ..studies.trials import Trial, train_one
from ..train.begin import regularised
from .protocol import LayerProtocol
from .rejection import Ascent, ascended

__all__ = ["BROKEN", "Tried", "Trier", "in_memory", "size_of", "tried", "wearing"]

BROKEN = "broke"  # with an error, which stands in the place of the anchor


@dataclass(frozen=True)
class Tried:
    """What a layer came to: its accuracy in each anchor, or why it was refused, in which anchor, and the number it was refused
    for."""

    scores: tuple[float, ...] = ()
    refused: str = ""
    anchor: str = ""
    measured: float | None = None

    @property
    def mean(self) -> float:
        """Over the anchors."""
        return sum(self.scores) / len(self.scores)


def wearing(spec: ArchSpec, graph: NormGraph, protocol: LayerProtocol) -> ArchSpec:
    """`spec` with a layer in the place of every norm and the activation behind it."""
    return spec.with_style(norm=GraphNorm(graph, groups=protocol.groups))


class Trier:
    """Tries layers in `anchors`, which are fit for the data: a function from a graph to what it came to.

    It depends on its arguments alone, and can be pickled: a farm's shared part. Images are decoded and resized once for each
    size at which anchors see them.
    """

    def __init__(self, anchors: Sequence[ArchSpec], images: ImageData, task: Task, protocol: LayerProtocol) -> None:
        few, self.recipe = protocol.shown(images)
        self.protocol, self._task = protocol, task
        self._anchors = tuple(regularised(spec, self.recipe) for spec in anchors)
        self._least = protocol.least(len(images.classes))
        self._seen = {size: in_memory(spec, few) for size, spec in {size_of(spec): spec for spec in anchors}.items()}

    def __call__(self, graph: NormGraph) -> Tried:
        # Maps that vanish would be computed with many times more slowly.
        flushed = torch.set_flush_denormal(True)
        try:
            return self._stable(graph) or self._scored(graph)
        except (RuntimeError, ValueError, ArithmeticError) as error:  # no layer may end a search
            return Tried(refused=BROKEN, anchor=first_line(error))
        finally:
            if flushed:
                torch.set_flush_denormal(False)

    def climbed(self, graph: NormGraph) -> Ascent:
        """How far the gradient's norm climbs with it in the first anchor."""
        network = build(wearing(self._anchors[0], graph, self.protocol), seed=self.protocol.seed)
        images, answers = self._fixed
        return ascended(
            network, lambda module: self._task.loss(module, images, answers, self.recipe).loss, self.protocol
        )

    def _stable(self, graph: NormGraph) -> Tried | None:
        """What it is refused as where it is unstable."""
        found = self.climbed(graph)
        return None if found.stable else Tried((), "unstable", self._anchors[0].name, found.largest)

    def _scored(self, graph: NormGraph) -> Tried:
        scores: list[float] = []
        for spec in self._anchors:
            trial = Trial(wearing(spec, graph, self.protocol), self.recipe, self.protocol.seed)
            with tempfile.TemporaryDirectory() as folder:
                outcome = train_one(trial, self._seen[size_of(spec)], Path(folder) / "last.pt")
            if outcome.failed:
                return Tried(refused="diverged", anchor=spec.name)
            if outcome.top1 < self._least:
                return Tried(refused="learns too little", anchor=spec.name, measured=outcome.top1)
            scores.append(outcome.top1)
        return Tried(tuple(scores))

    @cached_property
    def _fixed(self) -> tuple[Tensor, Tensor]:
        """The first anchor's fixed batch, normalised, and its labels."""
        spec = self._anchors[0]
        batch: Batch = next(
            eval_batches(
                self._seen[size_of(spec)].train,
                sides=spec.input.sides,
                channels=spec.input.channels,
                batch=self.protocol.ascent_images,
            )
        )
        return normaliser(spec, torch.device("cpu"))(batch.images), batch.answers


def tried(trier: Trier, graph: NormGraph) -> Tried:
    """What a farm's process does."""
    return trier(graph)


def size_of(spec: ArchSpec) -> tuple[tuple[int, int], int]:
    """The sides and channels at which a network sees images."""
    return spec.input.sides, spec.input.channels


def in_memory(spec: ArchSpec, images: ImageData) -> ImageData:
    """The images as `spec` sees them, decoded and resized where that fits in memory."""
    sides, channels = spec.input.sides, spec.input.channels
    train, val = (held(part, sides=sides, channels=channels) for part in (images.train, images.val))
    return replace(images, train=train, val=val)
