"""Films, of which a network is shown a clip: some frames, or one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..pictures import Cut
from ..reels import Reel
from ..spans import ONE, Span
from .inputs import Inputs, as_channels

__all__ = ["Clips", "Films", "as_clip"]


@dataclass(frozen=True, eq=False)
class Clips(Inputs):
    """A sequence of films."""

    @property
    def filmed(self) -> bool:
        return True

    @abstractmethod
    def length(self, i: int) -> int: ...

    @abstractmethod
    def clip(
        self, i: int, span: Span, at: float, *, channels: int = 3, least: int = 0, cut: Cut | None = None
    ) -> Tensor: ...

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        return self.clip(i, ONE, 0.5, channels=channels, least=least, cut=cut)[0]


@dataclass(frozen=True, eq=False)
class Films(Clips):
    """Films left on disk, each decoded anew when asked for, as far as a clip needs it. `reels` are what is known of their frames;
    empty until they have been looked at."""

    paths: tuple[str, ...]
    reels: tuple[Reel, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def length(self, i: int) -> int:
        return self.reels[i].frames

    def clip(
        self, i: int, span: Span, at: float, *, channels: int = 3, least: int = 0, cut: Cut | None = None
    ) -> Tensor:
        reel = self.reels[i]
        numbers = reel.even(span.numbers(reel.frames, at))
        return as_clip(reel.read(self.paths[i], numbers), channels, cut)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        return self.reels[i].sides

    def where(self, i: int) -> str:
        return self.paths[i]

    def take(self, indices: np.ndarray) -> Films:
        reels = tuple(self.reels[i] for i in indices) if self.reels else ()
        return Films(tuple(self.paths[i] for i in indices), reels)


def as_clip(frames: np.ndarray, channels: int, cut: Cut | None) -> Tensor:
    """Frames, uint8 ⟨T,height,width,1 or 3⟩, cut alike, with the number of channels asked for: ⟨T,channels,height,width⟩."""
    if cut is not None:
        top, left, height, width = cut(*frames.shape[1:3])
        frames = frames[:, top : top + height, left : left + width]
    return as_channels(torch.from_numpy(frames).permute(0, 3, 1, 2), channels)
