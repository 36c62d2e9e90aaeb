"""The depthwise-separable convolution (MobileNetV1)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Block, Choices, Node, Style
from ..units import conv_norm, odd

__all__ = ["DepthwiseSeparable"]


@final
@dataclass(frozen=True)
class DepthwiseSeparable(Block):
    """k x k depthwise, norm-act, 1x1 pointwise, norm-act; no skip (Howard et al., 2017)."""

    kind: ClassVar[str] = "depthwise_separable"
    kernel: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("depthwise_separable.kernel", self.kernel)

    @property
    def choices(self) -> Choices:
        return Choices(self.kernel)

    def varied(self, kernel: int, expand: float) -> Self:
        return replace(self, kernel=kernel)

    def build(self, node: Node, style: Style) -> nn.Module:
        depthwise = conv_norm(
            style,
            node.c_in,
            node.c_in,
            self.kernel,
            stride=node.stride,
            groups=node.c_in,
            temporal=node.temporal,
            over=node.over,
        )
        pointwise = conv_norm(style, node.c_in, node.c_out, 1)
        return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise))

    def describe(self) -> str:
        return f"separable k{self.kernel}"
