"""Images left on disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..pictures import Cut, decoded, measured
from .inputs import Inputs

__all__ = ["Files"]


@dataclass(frozen=True, eq=False)
class Files(Inputs):
    """Images left on disk, each decoded anew when asked for: upright as the camera was held, but those of the paths `stored`,
    whose pixels stay as they lie in the file."""

    paths: tuple[str, ...]
    stored: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.paths)

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        pixels = decoded(self.paths[i], channels=channels, least=least, cut=cut, upright=self.is_upright(i))
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        return measured(self.paths[i], least=least, upright=self.is_upright(i))

    def is_upright(self, i: int) -> bool:
        return self.paths[i] not in self.stored

    def where(self, i: int) -> str:
        return self.paths[i]

    def take(self, indices: np.ndarray) -> Files:
        return Files(tuple(self.paths[i] for i in indices), self.stored)
