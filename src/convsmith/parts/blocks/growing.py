"""The residual blocks of networks that make images: they enlarge a map, and their norms are told a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ...arch import Block, Node, Style
from ...layers import Conditional, Embedding, FirstChannels, Growing
from ...ranges import above
from ..units import odd

__all__ = ["GrowingBlock", "GrowingBottleneck"]


@final
@dataclass(frozen=True)
class GrowingBlock(Block):
    """Norm-act - enlarge - k x k - norm-act - k x k, beside it enlarge - 1x1; nothing after the sum (BigGAN; Brock et al., 2019).

    Enlarging repeats each cell `stride` times a side. Both norms are conditional.
    """

    kind: ClassVar[str] = "growing"
    grows: ClassVar[bool] = True
    conditional: ClassVar[bool] = True
    kernel: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("growing.kernel", self.kernel)

    def build(self, node: Node, style: Style) -> nn.Module:
        c_in, c_out = node.c_in, node.c_out
        convs = [style.conv.build(width, c_out, self.kernel, bias=True) for width in (c_in, c_out)]
        norms = [conditional(node, style, width) for width in (c_in, c_out)]
        skip = style.conv.build(c_in, c_out, 1, bias=True)
        return Growing(norms, convs, skip, factor=node.stride, at=0, drop_path=node.drop_path)

    def describe(self) -> str:
        return f"growing k{self.kernel}"


@final
@dataclass(frozen=True)
class GrowingBottleneck(Block):
    """1x1 to `ratio` of the width that enters - enlarge - k x k - k x k - 1x1, before each convolution a conditional norm-act
    (BigGAN-deep; Brock et al., 2019). The skip has no weights: the first channels of what enters, enlarged.

    Raises:
        ValueError: it is to put out more channels than enter.
    """

    kind: ClassVar[str] = "growing_bottleneck"
    grows: ClassVar[bool] = True
    conditional: ClassVar[bool] = True
    kernel: int = 3
    ratio: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("growing_bottleneck.kernel", self.kernel)
        above("growing_bottleneck.ratio", self.ratio, 0)

    def build(self, node: Node, style: Style) -> nn.Module:
        if node.c_out > node.c_in:
            raise ValueError(f"{node.path}: its skip has {node.c_in} channels to choose from, too few for {node.c_out}")
        inner = max(1, round(node.c_in * self.ratio))
        widths = (node.c_in, inner, inner, inner, node.c_out)
        kernels = (1, self.kernel, self.kernel, 1)
        convs = [
            style.conv.build(c_in, c_out, kernel, bias=True)
            for c_in, c_out, kernel in zip(widths, widths[1:], kernels, strict=False)
        ]
        norms = [conditional(node, style, width) for width in widths[:-1]]
        skip = nn.Identity() if node.c_in == node.c_out else FirstChannels(node.c_out)
        return Growing(norms, convs, skip, factor=node.stride, at=1, drop_path=node.drop_path)

    def describe(self) -> str:
        return f"growing bottleneck k{self.kernel}"


def conditional(node: Node, style: Style, channels: int) -> Conditional:
    """The network's norm, its scale and shift linear in the condition that enters the node, or looked up where that is a class."""
    told = node.ins[1]
    core, after = style.norm.core(channels)

    def told_apart() -> nn.Module:
        if told.named:
            return Embedding(told.channels, channels)
        return style.conv.linear(told.channels, channels, bias=False)

    return Conditional(core, after, gain=told_apart(), shift=told_apart())
