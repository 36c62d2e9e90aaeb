"""The lambda layer as a mixer."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ...arch import Mixer, Style
from ...layers import AvgPool2d, LambdaLayer
from ...ranges import at_least
from ..norms.batch import BatchNorm
from ..units import odd

__all__ = ["Lambda"]


@final
@dataclass(frozen=True)
class Lambda(Mixer):
    """A lambda layer (Bello, 2021) of `scope` r x r relative positions, or of the whole map where `scope` is None.

    `key` k, `heads` h queries a position (a wish: widths that it does not divide take their largest divisor below it, since
    a scaled width is rarely what one expects), `intra` depth u. Where the block strides, a 3x3 average pool with stride 2
    follows the layer, as in the paper. Queries and values always have batch norm; its epsilon is the network's where that
    is a batch norm too. A global layer has parameters for one size of map: the spec's resolution
    fixes it, the longer side of an oblong one.
    """

    kind: ClassVar[str] = "lambda"
    key: int = 16
    heads: int = 4
    intra: int = 1
    scope: int | None = 23

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("key", "heads", "intra"):
            at_least(f"lambda.{name}", getattr(self, name), 1)
        if self.scope is not None:
            odd("lambda.scope", self.scope)

    def build(self, channels: int, *, stride: int, sides: tuple[int, ...], style: Style) -> nn.Module:
        size = max(sides[-2:])
        heads = next(count for count in range(min(self.heads, channels), 0, -1) if channels % count == 0)
        own = style.norm if isinstance(style.norm, BatchNorm) else BatchNorm()
        layer = LambdaLayer(
            channels,
            key=self.key,
            heads=heads,
            intra=self.intra,
            scope=2 * size - 1 if self.scope is None else self.scope,
            size=size if self.scope is None else None,
            eps=own.eps,
            momentum=own.momentum,
        )
        if stride == 1:
            return layer
        return nn.Sequential(OrderedDict(layer=layer, pool=AvgPool2d(3, stride, padding=1)))

    def describe(self) -> str:
        where = "global" if self.scope is None else f"r{self.scope}"
        return f"lambda {where} k{self.key} h{self.heads}" + (f" u{self.intra}" if self.intra > 1 else "")
