"""How true an image is, as an image of its class: one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import Tensor, nn

from ...arch import Head, Map, Node, Shape, Style, Unit
from ...ranges import at_least
from ..units import opening

__all__ = ["Projection"]


@final
@dataclass(frozen=True)
class Projection(Head, Unit):
    """Norm-act, the sum h over positions, then w h + b + <e(y), h>: ⟨N,C,H,W⟩ and classes ⟨N⟩ -> ⟨N⟩ (Miyato & Koyama, 2018).

    The sum, not the mean, as in Brock et al. (2019).
    """

    kind: ClassVar[str] = "projection"
    outputs: ClassVar[tuple[str, ...]] = ("score",)
    named: ClassVar[tuple[str, ...]] = ("head.embed.",)
    purpose: ClassVar[str] = "synthesise"
    classes: int

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("projection.classes", self.classes, 1)

    @property
    def beside(self) -> tuple[Shape, ...]:
        return (Shape(self.classes, named=True),)

    @property
    def n_names(self) -> int:
        return self.classes

    def renamed(self, n: int) -> Self:
        return replace(self, classes=n)

    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        return [Node("head", self, ins=(maps[-1].shape, *self.beside), outs=(Shape(1),))], ()

    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        return units["head"]

    def build(self, node: Node, style: Style) -> nn.Module:
        linear, embed = style.conv.linear(node.c_in, 1), style.conv.embedding(self.classes, node.c_in)
        return _Projection(opening(style.norm, node.c_in), linear, embed)

    def widened(self, grow: Callable[[float], int]) -> Self:
        return self

    def describe(self) -> str:
        return "sum, linear and projection on the class"


class _Projection(nn.Module):
    """The module of a `Projection`."""

    def __init__(self, norm: nn.Module, linear: nn.Module, embed: nn.Module) -> None:
        super().__init__()
        self.norm, self.linear, self.embed = norm, linear, embed

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        summed = self.norm(x).sum((2, 3))
        out: Tensor = self.linear(summed).flatten() + (self.embed(classes) * summed).sum(1)
        return out
