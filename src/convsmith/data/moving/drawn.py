"""Films of moving digits as inputs: each is drawn when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..inputs import Clips
from ..inputs.clips import as_clip
from ..pictures import Cut
from ..spans import Span
from ..targets import Labels
from .film import FRAMES, SIDE, MovingDigit

__all__ = ["Moving", "ways_of"]


@dataclass(frozen=True, eq=False)
class Moving(Clips):
    """Films `numbers[i]`, int64 ⟨n⟩, to train on or not: nothing of them is held."""

    train: bool
    numbers: np.ndarray
    seed: int = 0

    def __len__(self) -> int:
        return len(self.numbers)

    def film(self, i: int) -> MovingDigit:
        return MovingDigit(self.train, int(self.numbers[i]), self.seed)

    def length(self, i: int) -> int:
        return FRAMES

    def clip(
        self, i: int, span: Span, at: float, *, channels: int = 3, least: int = 0, cut: Cut | None = None
    ) -> Tensor:
        return as_clip(self.film(i).frames()[span.numbers(FRAMES, at)], channels, cut)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        return SIDE, SIDE

    def where(self, i: int) -> None:
        return None

    def take(self, indices: np.ndarray) -> Moving:
        return Moving(self.train, self.numbers[indices], self.seed)


def ways_of(films: Moving) -> Labels:
    """In which way the digit of each film moves."""
    return Labels(np.array([films.film(i).label for i in range(len(films))], np.int64))
