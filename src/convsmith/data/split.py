"""Labelled images, wherever they lie: in memory, in memory but encoded, or on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .pictures import Cut, cut_out, decoded

__all__ = ["ArraySplit", "EncodedSplit", "FileSplit", "JoinedSplit", "Split", "as_channels"]


@dataclass(frozen=True, eq=False)
class Split(ABC):
    """A sequence of labelled images. `labels` is int64, one class number per image."""

    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        """Image `i` as uint8 (channels, height, width), a pixel's channels together in memory: RGB for 3, luminance for 1.

        A codec that can shrink while it decodes may do so as long as the short side keeps `least` pixels; 0 asks for
        the full size. `cut` chooses, from the height and the width of what was decoded, the rectangle that is wanted of it.
        Raises OSError when the image cannot be read any more. May be called by several threads at once.
        """

    @abstractmethod
    def where(self, i: int) -> str | None:
        """The file that image `i` came from, or None where it had none of its own."""

    @abstractmethod
    def take(self, indices: np.ndarray) -> Split:
        """The images at `indices`, in that order."""


@dataclass(frozen=True, eq=False)
class ArraySplit(Split):
    """Images of one size, held as uint8 (n, height, width, channels) with 1 or 3 channels.

    `paths` names the file each came from, and is empty where there were none.
    """

    images: np.ndarray
    paths: tuple[str, ...] = ()

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        return as_channels(torch.from_numpy(cut_out(self.images[i], cut)).permute(2, 0, 1), channels)

    def several(self, indices: np.ndarray, channels: int) -> Tensor:
        """A copy of the images at `indices` as one batch, (n, channels, height, width)."""
        return as_channels(torch.from_numpy(self.images[indices]).permute(0, 3, 1, 2), channels)

    def where(self, i: int) -> str | None:
        return self.paths[i] if self.paths else None

    def take(self, indices: np.ndarray) -> ArraySplit:
        return ArraySplit(self.labels[indices], self.images[indices], _picked(self.paths, indices))


@dataclass(frozen=True, eq=False)
class EncodedSplit(Split):
    """Images held as the bytes of their files: image `i` is `joined[start[i]:stop[i]]`."""

    joined: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def bytes_of(self, i: int) -> bytes:
        return self.joined[self.start[i] : self.stop[i]].tobytes()

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        return torch.from_numpy(decoded(self.bytes_of(i), channels=channels, least=least, cut=cut)).permute(2, 0, 1)

    def where(self, i: int) -> None:
        return None

    def take(self, indices: np.ndarray) -> EncodedSplit:
        return EncodedSplit(self.labels[indices], self.joined, self.start[indices], self.stop[indices])


@dataclass(frozen=True, eq=False)
class FileSplit(Split):
    """Images left on disk, each decoded anew when asked for."""

    paths: tuple[str, ...]

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        return torch.from_numpy(decoded(self.paths[i], channels=channels, least=least, cut=cut)).permute(2, 0, 1)

    def where(self, i: int) -> str:
        return self.paths[i]

    def take(self, indices: np.ndarray) -> FileSplit:
        return FileSplit(self.labels[indices], _picked(self.paths, indices))


@dataclass(frozen=True, eq=False)
class JoinedSplit(Split):
    """Images of several splits, one after another, or in any order: image `i` is image `index[i]` of `parts[part[i]]`."""

    parts: tuple[Split, ...]
    part: np.ndarray
    index: np.ndarray

    @staticmethod
    def of(*parts: Split) -> JoinedSplit:
        """All of each, in turn."""
        labels = np.concatenate([one.labels for one in parts])
        part = np.repeat(np.arange(len(parts)), [len(one) for one in parts])
        return JoinedSplit(labels, parts, part, np.concatenate([np.arange(len(one)) for one in parts]))

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        return self.parts[int(self.part[i])].decode(int(self.index[i]), channels=channels, least=least, cut=cut)

    def where(self, i: int) -> str | None:
        return self.parts[int(self.part[i])].where(int(self.index[i]))

    def take(self, indices: np.ndarray) -> JoinedSplit:
        return JoinedSplit(self.labels[indices], self.parts, self.part[indices], self.index[indices])


def as_channels(images: Tensor, channels: int) -> Tensor:
    """uint8 images (..., 1 or 3, height, width) with the number of channels asked for."""
    if images.shape[-3] == channels:
        return images
    if channels == 3:
        return images.expand(*images.shape[:-3], 3, -1, -1)
    # ITU-R 601 luminance in Pillow's 16-bit fixed point, so that an array and its PNG file agree to the bit.
    red, green, blue = images.int().unbind(-3)
    grey: Tensor = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return grey.to(torch.uint8).unsqueeze(-3)


def _picked(paths: Sequence[str], indices: np.ndarray) -> tuple[str, ...]:
    return tuple(paths[i] for i in indices) if paths else ()
