"""What random numbers and a class meet first: a linear map to a small map, and what the blocks are told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Self, final

import torch
from torch import Tensor, nn

from ...arch import Image, Node, Shape, Stem, Style
from ...errors import UserError
from ...layers import Embedding
from ...ranges import at_least

__all__ = ["LatentStem", "Told"]


class Told(StrEnum):
    """What a block's condition has of the random numbers beside the class.

    none: nothing. chunks: they are cut into as many chunks as there are blocks and one more; the first goes into the linear map,
    which has what is left over too (skip-z, BigGAN). whole: all of them, and the linear map reads the class too (BigGAN-deep).
    """

    NONE = "none"
    CHUNKS = "chunks"
    WHOLE = "whole"


@final
@dataclass(frozen=True)
class LatentStem(Stem):
    """z ⟨N,dim⟩ and y ⟨N⟩ -> a map ⟨N,width,h,w⟩, linear in z, and a condition for each block that reads one.

    The class becomes a vector of `shared` numbers that all blocks share, and `told` says what of z stands behind it; with
    `shared` 0 the condition is the class itself, and every block has tables of its own. The map is as many times smaller than
    the image as the blocks behind it enlarge. The shared table has no spectral normalisation, whatever the style.

    Raises:
        ValueError: z is to be told without a shared vector.
    """

    kind: ClassVar[str] = "latent_stem"
    shared: int = 128
    told: Told = Told.CHUNKS

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("latent_stem.shared", self.shared, 0)
        if not self.shared and self.told is not Told.NONE:
            raise ValueError(f"latent_stem.told is {self.told}, which needs a shared vector; got shared 0")

    @property
    def reduction(self) -> int:
        return 1

    def leaves(self, image: Image, growth: int, readers: int) -> tuple[Shape, ...]:
        dim, classes = image.shapes if len(image.shapes) == 2 else (None, None)
        if dim is None or classes is None:
            raise UserError("a LatentStem reads random numbers and a class: give the network a Latent input")
        if any(side % growth for side in image.sides):
            raise UserError(f"sides of {image.px} px do not divide by {growth}, which the blocks enlarge a map by")
        chunk = dim.channels // (readers + 1)
        if self.told is Told.CHUNKS and not chunk:
            raise UserError(f"{dim.channels} random numbers are too few for {readers + 1} chunks")
        condition = {
            Told.NONE: Shape(self.shared) if self.shared else classes,
            Told.CHUNKS: Shape(self.shared + chunk),
            Told.WHOLE: Shape(self.shared + dim.channels),
        }[self.told]
        return Shape(self.width, tuple(side // growth for side in image.sides)), *(condition,) * readers

    def build(self, node: Node, style: Style) -> nn.Module:
        dim, classes = (shape.channels for shape in node.ins)
        outs, *conditions = node.outs
        chunks = [condition.channels - self.shared for condition in conditions] if self.told is Told.CHUNKS else []
        sizes = (dim - sum(chunks), *chunks)
        reads = dim + self.shared if self.told is Told.WHOLE else sizes[0]
        embed = Embedding(classes, self.shared) if self.shared else None
        linear = style.conv.linear(reads, self.width * math.prod(outs.sides))
        return _LatentStem(embed, linear, outs.dims, self.told, sizes, len(conditions))

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(self, width=grow(self.width))

    def describe(self) -> str:
        return "linear map of z" + {Told.NONE: "", Told.CHUNKS: ", skip-z", Told.WHOLE: " and the class"}[self.told]


class _LatentStem(nn.Module):
    """(z, y) -> the map, and a condition for each block."""

    def __init__(
        self,
        embed: nn.Module | None,
        linear: nn.Module,
        dims: tuple[int, ...],
        told: Told,
        sizes: tuple[int, ...],
        readers: int,
    ) -> None:
        super().__init__()
        self.embed, self.linear = embed, linear
        self.dims, self.told, self.sizes, self.readers = dims, told, sizes, readers

    def forward(self, z: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        known = y if self.embed is None else self.embed(y)
        if self.told is Told.NONE:
            return self._map(z), *(known,) * self.readers
        if self.told is Told.WHOLE:
            both = torch.cat((known, z), 1)
            return self._map(both), *(both,) * self.readers
        first, *chunks = z.split(self.sizes, 1)
        return self._map(first), *(torch.cat((known, chunk), 1) for chunk in chunks)

    def _map(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x)
        return out.unflatten(1, self.dims)
