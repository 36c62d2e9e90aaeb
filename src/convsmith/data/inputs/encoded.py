"""Images held in memory as the files they were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..pictures import Cut, decoded, measured
from .inputs import Inputs

__all__ = ["Encoded"]


@dataclass(frozen=True, eq=False)
class Encoded(Inputs):
    """Images held as the bytes of their files: image `i` is `joined[start[i]:stop[i]]`."""

    joined: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    def bytes_of(self, i: int) -> bytes:
        return self.joined[self.start[i] : self.stop[i]].tobytes()

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        return torch.from_numpy(decoded(self.bytes_of(i), channels=channels, least=least, cut=cut)).permute(2, 0, 1)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        return measured(self.bytes_of(i), least=least)

    def where(self, i: int) -> None:
        return None

    def take(self, indices: np.ndarray) -> Encoded:
        return Encoded(self.joined, self.start[indices], self.stop[indices])
