"""Normaliser-free residual blocks (Brock et al., 2021)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Block, Choices, Node, Style
from ...layers import Gained, Residual, Standardised
from ...ranges import above, at_least
from ...tagged import LATER
from ..squeeze import SE
from ..units import conv_norm, odd, opening
from .shortcut import Shortcut, bare_shortcut

__all__ = ["NFBottleneck", "NFRegNetBlock"]


@final
@dataclass(frozen=True)
class NFBottleneck(Block):
    """x' = x + alpha f(act(x) / beta), f = 1x1 - k x k with the stride - 1x1, an activation between each (section 3).

    beta = sqrt(Var x) is the plan's expectation and never measured: 1 before the first block, then alpha^2 more a block,
    reset to 1 + alpha^2 by each block that projects. As in the released code 1/beta stands after the activation. The skip
    of a block that changes shape is `shortcut`, without a norm, of the activated input. `se` gates the branch after its
    last convolution; its gain should be 2, since its gate starts at one half. `skip_init` starts every branch at 0 by a
    scalar; without it the style's `zero_last` does, by the gains of the last convolution (timm). `beta_first` is the
    paper's equation, act(x / beta): another function unless the activation is ReLU.
    """

    kind: ClassVar[str] = "nf_bottleneck"
    kernel: int = 3
    ratio: float = 0.25
    alpha: float = 0.2
    se: SE | None = None
    shortcut: Shortcut = Shortcut.CONV
    skip_init: bool = True
    beta_first: bool = False
    dilation: int = field(default=1, metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("nf_bottleneck.kernel", self.kernel)
        above("nf_bottleneck.ratio", self.ratio, 0)
        at_least("nf_bottleneck.alpha", self.alpha, 0)
        at_least("nf_bottleneck.dilation", self.dilation, 1)

    def variance(self, before: float, *, keeps: bool) -> float:
        return (before if keeps else 1.0) + self.alpha**2

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
        branch: OrderedDict[str, nn.Module] = OrderedDict(
            reduce=conv_norm(style, node.c_in, middle, 1, temporal=node.temporal, over=node.over),
            conv=conv_norm(style, middle, middle, self.kernel, stride=node.stride, dilation=dilation),
            restore=style.conv.build(middle, node.c_out, 1, bias=True),
        )
        if self.se is not None:
            branch["se"] = self.se.build(node.c_out, of=node.c_out)
        skip = bare_shortcut(node, style, self.shortcut)
        return _residual(
            branch, skip, node, style, alpha=self.alpha, skip_init=self.skip_init, beta_first=self.beta_first
        )

    def describe(self) -> str:
        words = ["nf bottleneck", f"k{self.kernel}", *[f"d{self.dilation}"] * (self.dilation > 1)]
        return " ".join(words if self.se is None else [*words, self.se.describe()])


@final
@dataclass(frozen=True)
class NFRegNetBlock(Block):
    """`NFBottleneck` with m = `expand` * the *input* width in groups of `group_width`, and SE between k x k and last 1x1.

    m is rounded down to whole groups, or with `nearest` to the nearest (timm, which rounds all widths so).
    """

    kind: ClassVar[str] = "nf_regnet"
    kernel: int = 3
    expand: float = 2.25
    group_width: int = 8
    alpha: float = 0.2
    se: SE | None = None
    skip_init: bool = True
    beta_first: bool = False
    nearest: bool = False
    dilation: int = field(default=1, metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("nf_regnet.kernel", self.kernel)
        above("nf_regnet.expand", self.expand, 0)
        at_least("nf_regnet.group_width", self.group_width, 1)
        at_least("nf_regnet.alpha", self.alpha, 0)
        at_least("nf_regnet.dilation", self.dilation, 1)

    def variance(self, before: float, *, keeps: bool) -> float:
        return (before if keeps else 1.0) + self.alpha**2

    @property
    def choices(self) -> Choices:
        return Choices(self.kernel, self.expand)

    def varied(self, kernel: int, expand: float) -> Self:
        return replace(self, kernel=kernel, expand=expand)

    def dilated(self, times: int) -> Self:
        return replace(self, dilation=self.dilation * times)

    def build(self, node: Node, style: Style) -> nn.Module:
        wish = int(node.c_in * self.expand) + (self.group_width // 2 if self.nearest else 0)
        groups = max(1, wish // self.group_width)
        middle = groups * self.group_width
        dilation = self.dilation // node.traded
        more = {"dilation": dilation} if dilation > 1 else {}
        branch: OrderedDict[str, nn.Module] = OrderedDict(
            reduce=conv_norm(style, node.c_in, middle, 1, temporal=node.temporal, over=node.over),
            conv=style.conv.build(middle, middle, self.kernel, stride=node.stride, groups=groups, bias=True, **more),
        )
        if self.se is not None:
            branch["se"] = self.se.build(middle, of=middle)
        branch["act"] = style.norm.build(middle)
        branch["restore"] = style.conv.build(middle, node.c_out, 1, bias=True)
        skip = bare_shortcut(node, style, Shortcut.POOL_CONV)
        return _residual(
            branch, skip, node, style, alpha=self.alpha, skip_init=self.skip_init, beta_first=self.beta_first
        )

    def describe(self) -> str:
        words = ["nf regnet", f"k{self.kernel}", f"e{self.expand:g}", f"g{self.group_width}"]
        words += [f"d{self.dilation}"] * (self.dilation > 1)
        return " ".join(words if self.se is None else [*words, self.se.describe()])


def _residual(
    branch: OrderedDict[str, nn.Module],
    skip: nn.Module,
    node: Node,
    style: Style,
    *,
    alpha: float,
    skip_init: bool,
    beta_first: bool,
) -> nn.Module:
    """The block around a branch, with the activation and 1/beta in front; 1/beta costs nothing where filters carry it."""
    inverse = node.variance**-0.5
    act = opening(style.norm, node.c_in)
    readers = [branch["reduce"].get_submodule("conv")]
    readers += [module for module in skip.modules() if isinstance(module, nn.Conv2d | nn.Conv3d)]
    if beta_first:
        pre: nn.Module = act if inverse == 1 else nn.Sequential(Gained(nn.Identity(), inverse), act)
    elif all(isinstance(reader, Standardised) for reader in readers):
        for reader in readers:
            assert isinstance(reader, Standardised)
            reader.scale *= inverse
        pre = act
    else:
        pre = act if inverse == 1 else Gained(act, inverse)
    last = branch["restore"]
    if style.zero_last and isinstance(last, Standardised):
        nn.init.zeros_(last.gain)
    return Residual(
        nn.Sequential(branch), skip=skip, pre=pre, drop_path=node.drop_path, alpha=alpha, skip_init=skip_init
    )
