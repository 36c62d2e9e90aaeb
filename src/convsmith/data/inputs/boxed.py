"""A box of each picture: what was cut out of it before anything else is done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..moves import Move
from ..pictures import Cut
from .inputs import Inputs

__all__ = ["Boxed"]


@dataclass(frozen=True, eq=False)
class Boxed(Inputs):
    """Of picture `i` of `inputs` the rectangle `boxes[i]` (top, left, height, width), int64 ⟨n,4⟩, which lies within it."""

    inputs: Inputs
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        top, left, height, width = (int(side) for side in self.boxes[i])

        def within(high: int, wide: int) -> tuple[int, int, int, int]:
            own = (0, 0, height, width) if cut is None else cut(height, width)
            return top + own[0], left + own[1], own[2], own[3]

        return self.inputs.decode(i, channels=channels, cut=within)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        return int(self.boxes[i, 2]), int(self.boxes[i, 3])

    def origin(self, i: int, height: int, width: int) -> Move:
        whole = self.inputs.origin(i, *self.inputs.size(i))
        top, left, high, wide = (int(side) for side in self.boxes[i])
        return whole.then(Move.crop_resize((top, left, high, wide), (height, width)))

    def where(self, i: int) -> str | None:
        return self.inputs.where(i)

    def take(self, indices: np.ndarray) -> Boxed:
        return Boxed(self.inputs.take(indices), self.boxes[indices])
