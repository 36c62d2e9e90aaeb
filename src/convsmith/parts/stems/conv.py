"""One convolution, with or without a pool (MobileNets, EfficientNet; ResNet)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, final

from torch import nn

from ...arch import Node, Stem, Style
from ...layers import ConvNorm
from ...ranges import at_least
from ...tagged import LATER
from ..units import conv_norm, max_pool, odd, rarely

__all__ = ["ConvStem"]


@final
@dataclass(frozen=True)
class ConvStem(Stem):
    """k x k convolution with a stride, norm-act, and where `pool` a 3x3 max-pool with stride 2.

    `bare` leaves the norm-act out, for networks whose blocks begin with one; `bias` gives the convolution one. Of clips the pool
    keeps one of every `pool_over` frames.
    """

    kind: ClassVar[str] = "conv_stem"
    kernel: int = 3
    stride: int = 2
    pool: bool = False
    bare: bool = False
    pool_over: int = field(default=1, metadata=LATER)
    bias: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("conv_stem.kernel", self.kernel)
        at_least("conv_stem.stride", self.stride, 1)
        at_least("conv_stem.pool_over", self.pool_over, 1)
        if self.bias and not self.bare:
            raise ValueError("conv_stem.bias is for a bare stem: a norm has a shift of its own")

    @property
    def reduction(self) -> int:
        return self.stride * (2 if self.pool else 1)

    @property
    def reduction_over_time(self) -> int:
        return self.over * (self.pool_over if self.pool else 1)

    @property
    def maxima(self) -> bool:
        return self.pool and self.bare

    def build(self, node: Node, style: Style) -> nn.Module:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        time = rarely(temporal=self.temporal, over=self.over)
        if self.bare:
            more: dict[str, Any] = {"bias": True} if self.bias else {}  # else a kind of convolution has its own usage
            conv = style.conv.build(node.c_in, self.width, self.kernel, stride=self.stride, **time, **more)
            parts["conv"] = ConvNorm(conv, nn.Identity())
        else:
            parts["conv"] = conv_norm(style, node.c_in, self.width, self.kernel, stride=self.stride, **time)
        if self.pool:
            parts["pool"] = max_pool(style, over=self.pool_over)
        return nn.Sequential(parts)

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(self, width=grow(self.width))

    def describe(self) -> str:
        first = f"{self.kernel}x{self.kernel}" if self.temporal == 1 else f"{self.temporal}x{self.kernel}x{self.kernel}"
        return f"conv {first}" + (", max-pool 3x3" if self.pool else "")
