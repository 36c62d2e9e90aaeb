"""Three 3x3 convolutions instead of one 7x7 (ResNet-C and -D; He et al., 2019)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Node, Stem, Style
from ...layers import ConvNorm
from ...ranges import at_least
from ..units import conv_norm, max_pool, rarely

__all__ = ["DeepStem", "Halving"]


class Halving(StrEnum):
    """What halves the map after a stem's convolutions: nothing, a 3x3 max-pool (ResNet-D), a 3x3 convolution with
    stride 2 (ResNet-RS as released; its paper's text has the next stage stride instead)."""

    NONE = "none"
    POOL = "pool"
    CONV = "conv"


@final
@dataclass(frozen=True)
class DeepStem(Stem):
    """3x3 with `stride` to `inner`, 3x3 at `inner`, 3x3 to `width`, then what `then` names.

    `bare` leaves the last norm-act out, for networks whose blocks begin with one.
    """

    kind: ClassVar[str] = "deep_stem"
    inner: int = 32
    stride: int = 2
    then: Halving = Halving.POOL
    bare: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("deep_stem.inner", self.inner, 1)
        at_least("deep_stem.stride", self.stride, 1)

    @property
    def reduction(self) -> int:
        return self.stride * (1 if self.then is Halving.NONE else 2)

    @property
    def maxima(self) -> bool:
        return self.then is Halving.POOL and self.bare

    def build(self, node: Node, style: Style) -> nn.Module:
        convs = [(node.c_in, self.inner, self.stride), (self.inner, self.inner, 1), (self.inner, self.width, 1)]
        if self.then is Halving.CONV:
            convs.append((self.width, self.width, 2))
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (c_in, c_out, stride) in enumerate(convs, start=1):
            time = rarely(temporal=self.temporal, over=self.over) if number == 1 else {}
            if self.bare and number == len(convs):
                parts[f"conv{number}"] = ConvNorm(style.conv.build(c_in, c_out, 3, stride=stride), nn.Identity())
            else:
                parts[f"conv{number}"] = conv_norm(style, c_in, c_out, 3, stride=stride, **time)
        if self.then is Halving.POOL:
            parts["pool"] = max_pool(style)
        return nn.Sequential(parts)

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(self, width=grow(self.width), inner=grow(self.inner))

    def describe(self) -> str:
        words = {Halving.NONE: "3 convs 3x3", Halving.POOL: "3 convs 3x3, max-pool 3x3", Halving.CONV: "4 convs 3x3"}
        return words[self.then] + (f" t{self.temporal}" if self.temporal > 1 else "")
