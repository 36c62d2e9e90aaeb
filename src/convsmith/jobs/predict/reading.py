"""How a network's outputs are read: as classes of the image, as places in it, or as objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from torch import Tensor

from ...data import Move
from ...errors import UserError
from ...evals.detections import in_pictures
from .answers import Answer, Located, Prediction, Spotted

__all__ = ["Asked", "Classes", "Points", "Reading", "Things"]

_MANY = 2**20
_LIKELY: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(dim=1),
    "sigmoid": Tensor.sigmoid,
    "none": lambda probabilities: probabilities,
}


@dataclass(frozen=True)
class Asked:
    """An image that the network was shown: which, the file it came from, where its pixels lay, and its own (height, width), told
    of those that are shown whole."""

    index: int
    path: str | None
    move: Move
    size: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        return self.path or f"image {self.index}"


class Reading(Protocol):
    """`whole`: images are shown to their borders, and their moves are asked for. `most` images are asked about together. `names`
    of what can be answered."""

    @property
    def whole(self) -> bool: ...
    @property
    def most(self) -> int: ...
    @property
    def names(self) -> tuple[str, ...]: ...

    def told(self, outputs: tuple[Tensor, ...], asked: Sequence[Asked], top: int) -> list[Answer]:
        """An answer for each image. Raises `UserError` where outputs are not finite."""


@dataclass(frozen=True)
class Classes:
    """Logits ⟨N,classes⟩, made probabilities by `activation`; the `top` likeliest are told."""

    whole: ClassVar[bool] = False
    most: ClassVar[int] = _MANY
    names: tuple[str, ...]
    activation: str

    def told(self, outputs: tuple[Tensor, ...], asked: Sequence[Asked], top: int) -> list[Answer]:
        return list(self.predictions(outputs, asked, top))

    def predictions(self, outputs: tuple[Tensor, ...], asked: Sequence[Asked], top: int) -> list[Prediction]:
        """As `told`."""
        logits = outputs[0].float()
        _check(logits.isfinite().all(dim=1), asked)
        best = logits.topk(min(top, len(self.names)), dim=1).indices
        shares = _LIKELY[self.activation](logits).gather(1, best).cpu().tolist()
        return [
            Prediction(one.index, one.path, tuple((self.names[i], share) for i, share in zip(labels, row, strict=True)))
            for one, labels, row in zip(asked, best.cpu().tolist(), shares, strict=True)
        ]


@dataclass(frozen=True)
class Points:
    """Points ⟨N,K,2⟩ in pixels of what was shown and likelihoods ⟨N,K⟩, told in each picture's own pixels. `bones` are pairs of
    names, as numbers from 0, to draw a line between."""

    whole: ClassVar[bool] = True
    most: ClassVar[int] = _MANY
    names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...] = ()

    def told(self, outputs: tuple[Tensor, ...], asked: Sequence[Asked], top: int) -> list[Answer]:
        points, likelihood = (one.float() for one in outputs)
        _check(points.isfinite().all(dim=2).all(dim=1) & likelihood.isfinite().all(dim=1), asked)
        places, sure = points.cpu().numpy().astype(np.float64), likelihood.cpu().numpy().astype(np.float64)
        return [
            Located(one.index, one.path, self.names, one.move.back(places[k]), sure[k]) for k, one in enumerate(asked)
        ]


@dataclass(frozen=True)
class Things:
    """Boxes ⟨N,D,4⟩ in pixels of what was shown, scores ⟨N,D⟩, labels ⟨N,D⟩ from 1, 0 where there is nothing, and of some detectors
    masks ⟨N,D,S,S⟩, told in each picture's own pixels. Of the canvas of a detector, a few at a time fill the memory."""

    whole: ClassVar[bool] = True
    most: ClassVar[int] = 8
    names: tuple[str, ...]

    def told(self, outputs: tuple[Tensor, ...], asked: Sequence[Asked], top: int) -> list[Answer]:
        boxes, scores = outputs[0].float(), outputs[1].float()
        _check(boxes.isfinite().flatten(1).all(1) & scores.isfinite().flatten(1).all(1), asked)
        found = in_pictures(outputs, [one.move for one in asked], [one.size for one in asked], len(self.names))
        return [Spotted(one.index, one.path, one.size, self.names, own) for one, own in zip(asked, found, strict=True)]


def _check(finite: Tensor, asked: Sequence[Asked]) -> None:
    if not bool(finite.all()):
        first = asked[int((~finite).nonzero()[0])]
        raise UserError(
            f"the network's output for {first.name} is not finite; the training that made it diverged, or the weights are damaged"
        )
