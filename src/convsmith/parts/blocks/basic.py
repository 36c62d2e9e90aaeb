"""The basic residual block (ResNet-18 and -34)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Block, Choices, Node, Style
from ...layers import Residual
from ...ranges import at_least
from ...tagged import LATER
from ..units import conv_norm, odd
from .shortcut import Shortcut, shortcut

__all__ = ["BasicBlock"]


@final
@dataclass(frozen=True)
class BasicBlock(Block):
    """k x k with the stride - k x k, then the activation after the sum (He et al., 2016, figure 5 left).

    Of clips, both read several frames.
    """

    kind: ClassVar[str] = "basic"
    kernel: int = 3
    groups: int = 1
    shortcut: Shortcut = Shortcut.CONV
    dilation: int = field(default=1, metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("basic.kernel", self.kernel)
        at_least("basic.groups", self.groups, 1)
        at_least("basic.dilation", self.dilation, 1)

    @property
    def choices(self) -> Choices:
        return Choices(self.kernel)

    def varied(self, kernel: int, expand: float) -> Self:
        return replace(self, kernel=kernel)

    def dilated(self, times: int) -> Self:
        return replace(self, dilation=self.dilation * times)

    def build(self, node: Node, style: Style) -> nn.Module:
        if node.c_in % self.groups or node.c_out % self.groups:
            raise ValueError(f"{node.path}: widths {node.c_in} and {node.c_out} do not split into {self.groups} groups")
        zero = style.zero_last
        first, groups = self.dilation // node.traded, self.groups
        branch = OrderedDict(
            conv1=conv_norm(
                style,
                node.c_in,
                node.c_out,
                self.kernel,
                stride=node.stride,
                groups=groups,
                dilation=first,
                temporal=node.temporal,
                over=node.over,
            ),
            conv2=conv_norm(
                style,
                node.c_out,
                node.c_out,
                self.kernel,
                groups=groups,
                dilation=self.dilation,
                temporal=node.temporal,
                activate=False,
                zero=zero,
            ),
        )
        return Residual(
            nn.Sequential(branch),
            skip=shortcut(self.shortcut, node, style),
            post=style.norm.activation(),
            drop_path=node.drop_path,
        )

    def describe(self) -> str:
        words = [f"basic k{self.kernel}"] + [f"g{self.groups}"] * (self.groups > 1)
        return " ".join(words + [f"d{self.dilation}"] * (self.dilation > 1))
