"""A layer that a search found, or anybody wrote: normalisation and activation as one graph of primitives (Liu et al., 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Norm
from ...graphs import KNOWN, NormGraph, formula
from ...layers import Affine2d, EvoNormB, EvoNormKind, EvoNormS, GraphNorm2d
from ...ranges import above, at_least
from .group import FEWEST

__all__ = ["GraphNorm"]

_EVONORMS = {KNOWN[f"evonorm-{kind}"].text: kind for kind in EvoNormKind}


@final
@dataclass(frozen=True)
class GraphNorm(Norm):
    """y = gamma c(x) + beta with the core c of `graph`, of which the simplified active genes are kept: two are equal where their
    layers are.

    `groups` is a wish: widths that it does not divide take their largest divisor below it. `momentum` is torch's: the share of a
    new batch in the running statistics. Where nothing is activated the layer is affine, as EvoNorm is. The graphs of the six
    EvoNorms build these layers themselves, which save less for the backward pass and run faster.

    Raises:
        ValueError: a graph in which no network could learn, as x is not in it or enters by moments only.
    """

    kind: ClassVar[str] = "graph_norm"
    graph: NormGraph
    groups: int = 32
    eps: float = 1e-5
    momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("graph_norm.groups", self.groups, 1)
        above("graph_norm.eps", self.eps, 0, 1)
        at_least("graph_norm.momentum", self.momentum, 0, 1)
        if self.graph.dead:
            raise ValueError(f"graph_norm.graph puts out {self.graph.dead}: {formula(self.graph)}")
        object.__setattr__(self, "graph", self.graph.simplified)

    def with_eps(self, eps: float) -> Self:
        return replace(self, eps=eps)

    def for_pixels(self, channels: int) -> Self:
        return replace(self, groups=max(1, min(self.groups, channels // FEWEST)))

    def build(self, channels: int, *, activate: bool = True, zero: bool = False) -> nn.Module:
        norm = self._layer(channels) if activate else Affine2d(channels)
        if zero:
            nn.init.zeros_(norm.get_parameter("weight"))
        return norm

    def core(self, channels: int) -> tuple[nn.Module, nn.Module]:
        return self._layer(channels, affine=False), nn.Identity()

    def _layer(self, channels: int, *, affine: bool = True) -> nn.Module:
        groups = next(count for count in range(min(self.groups, channels), 0, -1) if channels % count == 0)
        kind = _EVONORMS.get(self.graph.text)
        if kind is None:
            return GraphNorm2d(self.graph, channels, groups=groups, eps=self.eps, momentum=self.momentum, affine=affine)
        if kind.batch:
            return EvoNormB(kind, channels, eps=self.eps, momentum=self.momentum, affine=affine)
        return EvoNormS(kind, channels, groups=groups, eps=self.eps, affine=affine)

    def activation(self) -> nn.Module:
        return nn.ReLU(inplace=True)

    def describe(self) -> str:
        return formula(self.graph)
