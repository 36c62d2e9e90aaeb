"""The bottleneck residual block (ResNet-50 and deeper; ResNeXt, ResNet-RS, LambdaResNet)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Block, Choices, Mixer, Node, Style
from ...layers import Residual, SelfGate
from ...ranges import above, at_least
from ...tagged import LATER
from ..squeeze import SE
from ..units import conv_norm, mixed, odd
from .shortcut import Shortcut, shortcut

__all__ = ["Bottleneck"]


@final
@dataclass(frozen=True)
class Bottleneck(Block):
    """1x1 to m - k x k at m with the stride - 1x1 to the stage's width, then the activation after the sum.

    m = `ratio` * width. The stride sits on the k x k convolution, where torchvision and timm have it; the first paper
    (He et al., 2016) had it on the first 1x1, which costs 3.86 instead of 4.09 G MACs in ResNet-50.
    `se` gates the branch after its last normalisation, squeezed from the block's output width (ResNet-RS). A `mixer`
    stands in place of the k x k convolution and carries its stride; `kernel` and `groups` then mean nothing. Of clips, the
    first 1x1 reads several frames; `gated` lets the last block of a stage gate its branch by itself, before `se` (Du et al., 2021,
    as released).
    """

    kind: ClassVar[str] = "bottleneck"
    kernel: int = 3
    ratio: float = 0.25
    groups: int = 1
    shortcut: Shortcut = Shortcut.CONV
    se: SE | None = None
    mixer: Mixer | None = None
    dilation: int = field(default=1, metadata=LATER)
    gated: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("bottleneck.kernel", self.kernel)
        above("bottleneck.ratio", self.ratio, 0)
        at_least("bottleneck.groups", self.groups, 1)
        at_least("bottleneck.dilation", self.dilation, 1)

    @property
    def choices(self) -> Choices:
        return Choices(self.kernel, self.ratio, self.mixer)

    def varied(self, kernel: int, expand: float) -> Self:
        return replace(self, kernel=kernel, ratio=expand)

    def dilated(self, times: int) -> Self:
        return self if self.mixer is not None else replace(self, dilation=self.dilation * times)

    def with_mixer(self, mixer: Mixer | None) -> Self:
        return replace(self, mixer=mixer)

    def build(self, node: Node, style: Style) -> nn.Module:
        # A scaled width need not split into the groups: round the middle up to the next that does.
        middle = -(-max(1, round(node.c_out * self.ratio)) // self.groups) * self.groups
        branch: OrderedDict[str, nn.Module] = OrderedDict(
            reduce=conv_norm(style, node.c_in, middle, 1, temporal=node.temporal, over=node.over)
        )
        if self.mixer is None:
            dilation = self.dilation // node.traded
            branch["conv"] = conv_norm(
                style, middle, middle, self.kernel, stride=node.stride, groups=self.groups, dilation=dilation
            )
        else:
            branch["mix"] = mixed(style, self.mixer, middle, stride=node.stride, sides=node.sides)
        branch["restore"] = conv_norm(style, middle, node.c_out, 1, activate=False, zero=style.zero_last)
        if self.gated and node.last:
            branch["gate"] = SelfGate(node.c_out)
        if self.se is not None:
            branch["se"] = self.se.build(node.c_out, of=node.c_out)
        return Residual(
            nn.Sequential(branch),
            skip=shortcut(self.shortcut, node, style),
            post=style.norm.activation(),
            drop_path=node.drop_path,
        )

    def describe(self) -> str:
        words = ["bottleneck", f"k{self.kernel}" if self.mixer is None else self.mixer.describe()]
        words += [f"g{self.groups}"] * (self.groups > 1 and self.mixer is None)
        words += [f"d{self.dilation}"] * (self.dilation > 1 and self.mixer is None)
        words += ["gated"] * self.gated
        return " ".join(words if self.se is None else [*words, self.se.describe()])
