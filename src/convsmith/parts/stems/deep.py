"""Three 3x3 convolutions instead of one 7x7 (ResNet-C and -D; He et al., 2019)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Stem, Style
from ...plans import Node
from ..units import conv_norm

__all__ = ["DeepStem"]


@final
@dataclass(frozen=True)
class DeepStem(Stem):
    """3x3 with `stride` to `inner`, 3x3 at `inner`, 3x3 to `width`, and where `pool` a 3x3 max-pool with stride 2."""

    kind: ClassVar[str] = "deep_stem"
    inner: int = 32
    stride: int = 2
    pool: bool = True

    @property
    def reduction(self) -> int:
        return self.stride * (2 if self.pool else 1)

    def build(self, node: Node, style: Style) -> nn.Module:
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=conv_norm(style, node.c_in, self.inner, 3, stride=self.stride),
            conv2=conv_norm(style, self.inner, self.inner, 3),
            conv3=conv_norm(style, self.inner, self.width, 3),
        )
        if self.pool:
            parts["pool"] = nn.MaxPool2d(3, 2, padding=1)
        return nn.Sequential(parts)

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(self, width=grow(self.width), inner=grow(self.inner))

    def describe(self) -> str:
        return "3 convs 3x3" + (", max-pool 3x3" if self.pool else "")
