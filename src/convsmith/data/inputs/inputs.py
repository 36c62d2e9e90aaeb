"""What a network is shown, wherever it lies: a sequence of images without a word on what they should become."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..moves import Move
from ..pictures import Cut
from ..spans import Span

__all__ = ["Inputs", "as_channels"]


@dataclass(frozen=True, eq=False)
class Inputs(ABC):
    """A sequence of images."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        """Image `i` as uint8 (channels, height, width), a pixel's channels together in memory: RGB for 3, luminance for 1.

        A codec that can shrink while it decodes may do so as long as the short side keeps `least` pixels; 0 asks for
        the full size. `cut` chooses, from the height and the width of what was decoded, the rectangle that is wanted of it.
        Raises OSError when the image cannot be read any more. May be called by several threads at once.
        """

    @abstractmethod
    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        """The height and the width of what `decode` gives of image `i` with the same `least`; raises OSError as it does."""

    def origin(self, i: int, height: int, width: int) -> Move:
        """Where the pixels of image `i` lie in its picture, which was decoded to this height and width."""
        return Move.reduced(self.size(i), (height, width))

    @property
    def filmed(self) -> bool:
        """Whether these are films, of which `decode` gives the frame in the middle."""
        return False

    def length(self, i: int) -> int:
        """How many frames film `i` has; a picture is one."""
        return 1

    def clip(
        self, i: int, span: Span, at: float, *, channels: int = 3, least: int = 0, cut: Cut | None = None
    ) -> Tensor:
        """The frames of film `i` that `span.numbers` names, uint8 (frames, channels, height, width), else as `decode`, all cut
        alike. Of a picture they are equal."""
        image = self.decode(i, channels=channels, least=least, cut=cut)
        return image.expand(span.frames, -1, -1, -1)

    @abstractmethod
    def where(self, i: int) -> str | None:
        """The file that image `i` came from, or None where it had none of its own."""

    @abstractmethod
    def take(self, indices: np.ndarray) -> Inputs:
        """The images at `indices`, in that order."""


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
