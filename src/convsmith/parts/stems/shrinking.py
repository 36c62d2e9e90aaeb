"""How a network that judges images begins: with a residual block that reads the image as it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Node, Stem, Style
from ...layers import Residual
from ..blocks.shortcut import pooled

__all__ = ["ShrinkingStem"]


@final
@dataclass(frozen=True)
class ShrinkingStem(Stem):
    """3x3 - norm-act - 3x3 - 2x2 average pool, beside it a pool and a 1x1 of the image; nothing after the sum, and nothing before
    it, since an image is no sum whose negative half could be left out (Brock et al., 2019)."""

    kind: ClassVar[str] = "shrinking_stem"

    @property
    def reduction(self) -> int:
        return 2

    def build(self, node: Node, style: Style) -> nn.Module:
        branch = OrderedDict(
            conv1=style.conv.build(node.c_in, self.width, 3, bias=True),
            norm=style.norm.build(self.width),
            conv2=style.conv.build(self.width, self.width, 3, bias=True),
            **pooled(node),
        )
        skip = OrderedDict(**pooled(node), project=style.conv.build(node.c_in, self.width, 1, bias=True))
        return Residual(nn.Sequential(branch), skip=nn.Sequential(skip))

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(self, width=grow(self.width))

    def describe(self) -> str:
        return "shrinking block of the image"
