"""The end of a network that makes images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Head, Map, Node, Shape, Style, Unit
from ...ranges import at_least
from ..units import opening

__all__ = ["ToImage"]


@final
@dataclass(frozen=True)
class ToImage(Head, Unit):
    """Norm-act - 3x3 to the image's `channels` - tanh: ⟨N,C,H,W⟩ -> an image in [-1, 1] (Brock et al., 2019)."""

    kind: ClassVar[str] = "to_image"
    outputs: ClassVar[tuple[str, ...]] = ("images",)
    named: ClassVar[tuple[str, ...]] = ()
    purpose: ClassVar[str] = "synthesise"
    channels: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("to_image.channels", self.channels, 1)

    @property
    def makes(self) -> int:
        return self.channels

    def coloured(self, channels: int) -> Self:
        return replace(self, channels=channels)

    @property
    def n_names(self) -> int:
        return 0

    def renamed(self, n: int) -> Self:
        return self

    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        shape = maps[-1].shape
        return [Node("head", self, ins=(shape,), outs=(Shape(self.channels, shape.sides),))], ()

    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        return units["head"]

    def build(self, node: Node, style: Style) -> nn.Module:
        conv = style.conv.build(node.c_in, self.channels, 3, bias=True)
        return nn.Sequential(OrderedDict(norm=opening(style.norm, node.c_in), conv=conv, tanh=nn.Tanh()))

    def widened(self, grow: Callable[[float], int]) -> Self:
        return self

    def describe(self) -> str:
        return "conv 3x3, tanh"
