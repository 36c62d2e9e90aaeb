"""The pre-activation bottleneck (ResNet-v2; He et al., 2016b)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Block, Choices, Node, Style
from ...layers import Residual
from ...ranges import above, at_least
from ...tagged import LATER
from ..units import conv_norm, odd, opening
from .shortcut import Shortcut, bare_shortcut

__all__ = ["PreActBottleneck"]


@final
@dataclass(frozen=True)
class PreActBottleneck(Block):
    """Norm-act - 1x1 - norm-act - k x k with the stride - norm-act - 1x1; nothing after the sum.

    The skip is the identity, or a bare convolution of the first norm-act's output. The stem in front is bare, and one
    norm-act stands before pooling (`PooledClassifier(activated=False)`). The form in which EvoNorm was published.
    """

    kind: ClassVar[str] = "preact_bottleneck"
    kernel: int = 3
    ratio: float = 0.25
    shortcut: Shortcut = Shortcut.CONV
    dilation: int = field(default=1, metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("preact_bottleneck.kernel", self.kernel)
        above("preact_bottleneck.ratio", self.ratio, 0)
        at_least("preact_bottleneck.dilation", self.dilation, 1)

    @property
    def choices(self) -> Choices:
        return Choices(self.kernel, self.ratio)

    def varied(self, kernel: int, expand: float) -> Self:
        return replace(self, kernel=kernel, ratio=expand)

    def dilated(self, times: int) -> Self:
        return replace(self, dilation=self.dilation * times)

    def build(self, node: Node, style: Style) -> nn.Module:
        middle = max(1, round(node.c_out * self.ratio))
        dilation = self.dilation // node.traded
        branch = OrderedDict(
            reduce=conv_norm(style, node.c_in, middle, 1, temporal=node.temporal, over=node.over),
            conv=conv_norm(style, middle, middle, self.kernel, stride=node.stride, dilation=dilation),
            restore=style.conv.build(middle, node.c_out, 1),
        )
        return Residual(
            nn.Sequential(branch),
            skip=bare_shortcut(node, style, self.shortcut),
            pre=opening(style.norm, node.c_in),
            drop_path=node.drop_path,
        )

    def describe(self) -> str:
        return f"preact bottleneck k{self.kernel}" + (f" d{self.dilation}" if self.dilation > 1 else "")
