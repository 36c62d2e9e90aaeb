"""The mobile inverted bottleneck (MobileNetV2; with squeeze-excitation, MnasNet and EfficientNet)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Block, Choices, Mixer, Node, Style
from ...layers import Residual
from ...ranges import above
from ..squeeze import SE
from ..units import conv_norm, mixed, odd
from .shortcut import least_shortcut

__all__ = ["MBConv"]


@final
@dataclass(frozen=True)
class MBConv(Block):
    """1x1 expand (absent where `expand` is 1) - k x k depthwise - SE - 1x1 project, no activation at the end.

    With input c and middle m = expand * c (Tan & Le, 2019; released code):
    norm-act after the first two, SE squeezed from c, a skip where the stride is 1 and c equals the output width.
    MobileNetV2's inverted residual is this block with `se=None`. A `mixer` stands in place of the depthwise convolution
    and carries its stride; `kernel` then means nothing. `skips` gives every block a skip, also where it strides or widens
    (BigNAS): a 2x2 average pool, then a bare 1x1 convolution where the width changes.
    """

    kind: ClassVar[str] = "mbconv"
    kernel: int = 3
    expand: float = 6
    se: SE | None = SE()
    mixer: Mixer | None = None
    skips: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("mbconv.kernel", self.kernel)
        above("mbconv.expand", self.expand, 0)

    @property
    def choices(self) -> Choices:
        return Choices(self.kernel, self.expand, self.mixer)

    def varied(self, kernel: int, expand: float) -> Self:
        return replace(self, kernel=kernel, expand=expand)

    def with_mixer(self, mixer: Mixer | None) -> Self:
        return replace(self, mixer=mixer)

    def build(self, node: Node, style: Style) -> nn.Module:
        middle = max(1, round(node.c_in * self.expand))
        branch: OrderedDict[str, nn.Module] = OrderedDict()
        if self.expand != 1:
            branch["expand"] = conv_norm(style, node.c_in, middle, 1)
        if self.mixer is None:
            branch["depthwise"] = conv_norm(
                style,
                middle,
                middle,
                self.kernel,
                stride=node.stride,
                groups=middle,
                temporal=node.temporal,
                over=node.over,
            )
        else:
            branch["mix"] = mixed(style, self.mixer, middle, stride=node.stride, sides=node.sides)
        if self.se is not None:
            branch["se"] = self.se.build(middle, of=node.c_in)
        branch["project"] = conv_norm(style, middle, node.c_out, 1, activate=False, zero=style.zero_last)
        skip = least_shortcut(node, style) if self.skips or node.keeps else None
        return Residual(nn.Sequential(branch), skip=skip, drop_path=node.drop_path)

    def describe(self) -> str:
        words = ["mbconv", f"k{self.kernel}" if self.mixer is None else self.mixer.describe(), f"e{self.expand:g}"]
        return " ".join(words if self.se is None else [*words, self.se.describe()])
