"""Scenes as inputs: each is drawn when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...rle import encoded
from ..inputs import Inputs, as_channels
from ..pictures import Cut, cut_out
from ..targets import Objects, Truth
from .scene import CLASSES, SIDE, Scene

__all__ = ["Scenes", "objects_of"]


@dataclass(frozen=True, eq=False)
class Scenes(Inputs):
    """Scenes `numbers[i]`, int64 ⟨n⟩, to train on or not: nothing of them is held."""

    train: bool
    numbers: np.ndarray
    seed: int = 0

    def __len__(self) -> int:
        return len(self.numbers)

    def scene(self, i: int) -> Scene:
        return Scene(self.train, int(self.numbers[i]), self.seed)

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        picture = cut_out(self.scene(i).picture(), cut)
        return as_channels(torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1), channels)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        return SIDE, SIDE

    def where(self, i: int) -> None:
        return None

    def take(self, indices: np.ndarray) -> Scenes:
        return Scenes(self.train, self.numbers[indices], self.seed)


def objects_of(scenes: Scenes) -> Objects:
    """The digits of each scene, class k of digit k - 1; a scene's number is its image's. No picture is drawn for it."""
    return Objects(tuple(_truth(scenes.scene(i)) for i in range(len(scenes))), tuple(range(1, len(CLASSES) + 1)))


def _truth(scene: Scene) -> Truth:
    digits, owner = scene.digits, scene.owner
    boxes, areas = np.empty((len(digits), 4)), np.empty(len(digits))
    for k, one in enumerate(digits):
        own = owner[one.place] == k + 1
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        left, top = one.left, one.top
        boxes[k] = left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1
        areas[k] = own.sum()
    labels = np.array([one.label + 1 for one in digits], np.int64)
    rles = tuple(encoded(owner == k + 1) for k in range(len(digits)))
    return Truth(boxes, labels, np.zeros(len(digits), bool), areas, rles, (SIDE, SIDE), scene.number)
