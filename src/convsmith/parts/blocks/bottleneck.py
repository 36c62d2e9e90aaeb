"""The bottleneck residual block (ResNet-50 and deeper; with groups, ResNeXt)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ...arch import Block, Style
from ...layers import Residual
from ...plans import Node
from ..units import conv_norm, odd
from .shortcut import Shortcut, shortcut

__all__ = ["Bottleneck"]


@final
@dataclass(frozen=True)
class Bottleneck(Block):
    """1x1 to m - k x k at m with the stride - 1x1 to the stage's width, then the activation after the sum.

    m = `ratio` * width. The stride sits on the k x k convolution, where torchvision and timm have it; the first paper
    (He et al., 2016) had it on the first 1x1, which costs 3.86 instead of 4.09 G MACs in ResNet-50.
    """

    kind: ClassVar[str] = "bottleneck"
    kernel: int = 3
    ratio: float = 0.25
    groups: int = 1
    shortcut: Shortcut = Shortcut.CONV

    def __post_init__(self) -> None:
        odd("bottleneck.kernel", self.kernel)
        if self.ratio <= 0 or self.groups < 1:
            raise ValueError(f"bottleneck.ratio must be above 0 and groups at least 1; got {self.ratio}, {self.groups}")

    def build(self, node: Node, style: Style) -> nn.Module:
        # A scaled width need not split into the groups: round the middle up to the next that does.
        middle = -(-max(1, round(node.c_out * self.ratio)) // self.groups) * self.groups
        branch = OrderedDict(
            reduce=conv_norm(style, node.c_in, middle, 1),
            conv=conv_norm(style, middle, middle, self.kernel, stride=node.stride, groups=self.groups),
            restore=conv_norm(style, middle, node.c_out, 1, activate=False, zero=style.zero_last),
        )
        return Residual(
            nn.Sequential(branch),
            skip=shortcut(self.shortcut, node, style),
            post=style.norm.activation(),
            drop_path=node.drop_path,
        )

    def describe(self) -> str:
        return f"bottleneck k{self.kernel}" + (f" g{self.groups}" if self.groups > 1 else "")
