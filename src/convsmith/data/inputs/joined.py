"""Images of several kinds behind each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..moves import Move
from ..pictures import Cut
from ..spans import Span
from .inputs import Inputs

__all__ = ["Joined"]


@dataclass(frozen=True, eq=False)
class Joined(Inputs):
    """Images of several inputs, one after another, or in any order: image `i` is image `index[i]` of `parts[part[i]]`."""

    parts: tuple[Inputs, ...]
    part: np.ndarray
    index: np.ndarray

    @staticmethod
    def of(*parts: Inputs) -> Joined:
        """All of each, in turn."""
        part = np.repeat(np.arange(len(parts)), [len(one) for one in parts])
        return Joined(parts, part, np.concatenate([np.arange(len(one)) for one in parts]))

    def __len__(self) -> int:
        return len(self.part)

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        return self.parts[int(self.part[i])].decode(int(self.index[i]), channels=channels, least=least, cut=cut)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        return self.parts[int(self.part[i])].size(int(self.index[i]), least=least)

    def origin(self, i: int, height: int, width: int) -> Move:
        return self.parts[int(self.part[i])].origin(int(self.index[i]), height, width)

    @property
    def filmed(self) -> bool:
        return any(part.filmed for part in self.parts)

    def length(self, i: int) -> int:
        return self.parts[int(self.part[i])].length(int(self.index[i]))

    def clip(
        self, i: int, span: Span, at: float, *, channels: int = 3, least: int = 0, cut: Cut | None = None
    ) -> Tensor:
        part = self.parts[int(self.part[i])]
        return part.clip(int(self.index[i]), span, at, channels=channels, least=least, cut=cut)

    def where(self, i: int) -> str | None:
        return self.parts[int(self.part[i])].where(int(self.index[i]))

    def take(self, indices: np.ndarray) -> Joined:
        return Joined(self.parts, self.part[indices], self.index[indices])
