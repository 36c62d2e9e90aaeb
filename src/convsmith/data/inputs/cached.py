"""Images that were decoded and made small enough once, and are mapped from one file since."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ..moves import Move
from ..pictures import Cut
from ..spans import Span
from .clips import Clips, Films, as_clip
from .inputs import Inputs, as_channels

__all__ = ["Cached", "CachedFilms", "Pixels"]


class Pixels:
    """Images mapped read-only from one file: `image(k)` is a view. Processes that map it share its memory.

    Handed to another process, it is the path that travels, not the pixels.
    """

    def __init__(self, path: Path, shapes: np.ndarray) -> None:
        self.path, self.shapes = path, shapes
        self._start = np.concatenate(([0], np.cumsum(shapes.prod(axis=1)))).tolist()
        try:
            mapped = np.memmap(path, np.uint8, "r") if self._start[-1] else np.zeros(0, np.uint8)
        except OSError as error:
            raise DataError(f"the cache {path} cannot be read any more: {error.strerror or error}") from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch would rather have memory that can be written to
            self._flat = torch.from_numpy(mapped)

    def image(self, k: int) -> Tensor:
        """uint8 (height, width, channels), not to be written to."""
        return self._flat[self._start[k] : self._start[k + 1]].view(self.shapes[k].tolist())

    def __reduce__(self) -> tuple[type[Pixels], tuple[Path, np.ndarray]]:
        return Pixels, (self.path, self.shapes)


@dataclass(frozen=True, eq=False)
class Cached(Inputs):
    """The images of `source`: image `i` is number `at[i]` of `pixels`, or `source`'s own where that is -1.

    `least` is what the source was asked for when the pixels were made.
    """

    source: Inputs
    pixels: Pixels
    at: np.ndarray
    least: int = 0

    def __len__(self) -> int:
        return len(self.at)

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        if self.at[i] < 0:
            return self.source.decode(i, channels=channels, least=least, cut=cut)
        image = self.pixels.image(self.at[i])
        if cut is not None:
            top, left, height, width = cut(*image.shape[:2])
            image = image[top : top + height, left : left + width]
        return as_channels(image.permute(2, 0, 1), channels)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        if self.at[i] < 0:
            return self.source.size(i, least=least)
        height, width = self.pixels.shapes[self.at[i], :2].tolist()
        return height, width

    def origin(self, i: int, height: int, width: int) -> Move:
        if self.at[i] < 0:
            return self.source.origin(i, height, width)
        whole = self.source.size(i, least=self.least)
        return self.source.origin(i, *whole).then(Move.crop_resize((0, 0, *whole), (height, width)))

    def where(self, i: int) -> str | None:
        return self.source.where(i)

    def take(self, indices: np.ndarray) -> Cached:
        return Cached(self.source.take(indices), self.pixels, self.at[indices], self.least)


@dataclass(frozen=True, eq=False)
class CachedFilms(Clips):
    """The films of `source`: film `i` is image `at[i]` of `pixels`, its frames one below the other, or `source`'s own where that
    is -1."""

    source: Films
    pixels: Pixels
    at: np.ndarray

    def __len__(self) -> int:
        return len(self.at)

    def length(self, i: int) -> int:
        return self.source.length(i)

    def clip(
        self, i: int, span: Span, at: float, *, channels: int = 3, least: int = 0, cut: Cut | None = None
    ) -> Tensor:
        if self.at[i] < 0:
            return self.source.clip(i, span, at, channels=channels, least=least, cut=cut)
        reel = self.source.reels[i]
        every = self.pixels.image(self.at[i]).numpy().reshape(reel.frames, *self.size(i), -1)
        return as_clip(every[reel.even(span.numbers(reel.frames, at))], channels, cut)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        if self.at[i] < 0:
            return self.source.size(i, least=least)
        height, width = self.pixels.shapes[self.at[i], :2].tolist()
        return height // self.source.length(i), width

    def where(self, i: int) -> str:
        return self.source.where(i)

    def take(self, indices: np.ndarray) -> CachedFilms:
        return CachedFilms(self.source.take(indices), self.pixels, self.at[indices])
