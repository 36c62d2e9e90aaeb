"""Images of other inputs, each spoilt by one of the common corruptions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...corruptions import corrupted
from ..moves import Move
from ..pictures import Cut, cut_out
from ..resize import covering, shortened
from ..spans import Span
from .inputs import Inputs

__all__ = ["SIDE", "Corrupted"]

# Strengths are in pixels of ImageNet-C's pictures, whose short side was 256 before their middle was cut out.
SIDE = 256


@dataclass(frozen=True, eq=False)
class Corrupted(Inputs):
    """The images of `inputs`, corrupted by `name` at a severity from 1 to 5.

    Larger images are first resized to a short side of `SIDE` pixels, so that a severity means the same for photographs of
    any camera, and for every network: it is the picture that is spoilt, not what a network sees of it.
    """

    inputs: Inputs
    name: str
    severity: int
    seed: int = 0

    def __len__(self) -> int:
        return len(self.inputs)

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        return self._spoilt(self.inputs.decode(i, channels=channels, least=SIDE)[None], cut)[0]

    @property
    def filmed(self) -> bool:
        return self.inputs.filmed

    def length(self, i: int) -> int:
        return self.inputs.length(i)

    def clip(
        self, i: int, span: Span, at: float, *, channels: int = 3, least: int = 0, cut: Cut | None = None
    ) -> Tensor:
        return self._spoilt(self.inputs.clip(i, span, at, channels=channels, least=SIDE), cut)

    def _spoilt(self, images: Tensor, cut: Cut | None) -> Tensor:
        """Images of one size, spoilt alike, then cut."""
        if min(images.shape[2:]) > SIDE:
            images = shortened(images, SIDE)
        every = [
            cut_out(corrupted(image, self.name, self.severity, seed=self.seed), cut)
            for image in images.permute(0, 2, 3, 1).numpy()
        ]
        return torch.from_numpy(np.stack(every)).permute(0, 3, 1, 2)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        height, width = self.inputs.size(i, least=SIDE)
        return covering((SIDE, SIDE), height, width) if min(height, width) > SIDE else (height, width)

    def origin(self, i: int, height: int, width: int) -> Move:
        # Through the decoder's reduction, if it made one, and the resize after it.
        decoded = self.inputs.size(i, least=SIDE)
        return self.inputs.origin(i, *decoded).then(Move.crop_resize((0, 0, *decoded), (height, width)))

    def where(self, i: int) -> str | None:
        return self.inputs.where(i)

    def take(self, indices: np.ndarray) -> Corrupted:
        return Corrupted(self.inputs.take(indices), self.name, self.severity, self.seed)
