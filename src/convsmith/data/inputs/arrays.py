"""Images of one size, held in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..moves import Move
from ..pictures import Cut, cut_out
from .inputs import Inputs, as_channels

__all__ = ["Arrays"]


@dataclass(frozen=True, eq=False)
class Arrays(Inputs):
    """Images of one size, held as uint8 (n, height, width, channels) with 1 or 3 channels.

    `paths` names the file each came from, and is empty where there were none. `moves` says where each lies in the picture
    that it was made from, and is empty where they are the pictures.
    """

    images: np.ndarray
    paths: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        return as_channels(torch.from_numpy(cut_out(self.images[i], cut)).permute(2, 0, 1), channels)

    def several(self, indices: np.ndarray, channels: int) -> Tensor:
        """A copy of the images at `indices` as one batch, (n, channels, height, width)."""
        return as_channels(torch.from_numpy(self.images[indices]).permute(0, 3, 1, 2), channels)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        return self.images.shape[1], self.images.shape[2]

    def origin(self, i: int, height: int, width: int) -> Move:
        return self.moves[i] if self.moves else Move.identity()

    def where(self, i: int) -> str | None:
        return self.paths[i] if self.paths else None

    def take(self, indices: np.ndarray) -> Arrays:
        paths, moves = (tuple(kept[i] for i in indices) if kept else () for kept in (self.paths, self.moves))
        return Arrays(self.images[indices], paths, moves)
