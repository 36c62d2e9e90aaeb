"""A neck of two levels and a head over regions: what the package's plans, costs and exporters must be able to carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import Tensor, nn
from torch.nn import functional as F

from convsmith.arch import Head, Map, Neck, Node, Shape, Style, Unit
from convsmith.layers import Linear
from convsmith.parts import PARTS
from convsmith.parts.units import conv_norm

REGIONS, SIDE = 100, 4


@final
@dataclass(frozen=True)
class OneConv(Unit):
    """A k x k convolution of one map."""

    kind: ClassVar[str] = "one_conv"
    width: int
    kernel: int = 1

    def build(self, node: Node, style: Style) -> nn.Module:
        return conv_norm(style, node.c_in, self.width, self.kernel)

    def describe(self) -> str:
        return f"conv {self.kernel}x{self.kernel}"


@final
@dataclass(frozen=True)
class Merge(Unit):
    """A 1x1 of the fine map, to which the coarse one is added: a unit of two maps."""

    kind: ClassVar[str] = "merge"

    def build(self, node: Node, style: Style) -> nn.Module:
        return _Merge(conv_norm(style, node.c_in, node.c_out, 1))

    def describe(self) -> str:
        return "merge"


class _Merge(nn.Module):
    def __init__(self, lateral: nn.Module) -> None:
        super().__init__()
        self.lateral = lateral

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return self.lateral(fine) + F.interpolate(coarse, size=fine.shape[2:])


@final
@dataclass(frozen=True)
class Shared(Unit):
    """The same convolution over every map, as a proposal head has it."""

    kind: ClassVar[str] = "shared"

    def build(self, node: Node, style: Style) -> nn.Module:
        return _Shared(conv_norm(style, node.c_in, node.c_out, 3))

    def describe(self) -> str:
        return "shared conv 3x3"


class _Shared(nn.Module):
    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.conv(one) for one in maps)


@final
@dataclass(frozen=True)
class Answer(Unit):
    """A linear layer of a vector."""

    kind: ClassVar[str] = "answer"

    def build(self, node: Node, style: Style) -> nn.Module:
        return Linear(node.c_in, node.c_out)

    def describe(self) -> str:
        return "linear"


@final
@dataclass(frozen=True)
class Pyramid(Neck):
    """Of the two coarsest maps: top = 1x1 of the coarse one, merged into the fine one, and a 3x3 of that."""

    kind: ClassVar[str] = "pyramid"
    width: int

    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        fine, coarse = maps[-2:]
        top = Shape(self.width, coarse.shape.sides)
        level = Shape(self.width, fine.shape.sides)
        nodes = [
            Node("neck.levels.top", OneConv(self.width), (coarse.shape,), (top,), (coarse.path,)),
            Node("neck.levels.merge", Merge(), (fine.shape, top), (level,), (fine.path, "neck.levels.top")),
            Node("neck.out", OneConv(self.width, 3), (level,), (level,), ("neck.levels.merge",)),
        ]
        return nodes, (Map("neck.out", fine.stride, level), Map("neck.levels.top", coarse.stride, top))

    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        return _Pyramid(units)

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(self, width=grow(self.width))


class _Pyramid(nn.Module):
    def __init__(self, units: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.levels = nn.ModuleDict({name: units[f"neck.levels.{name}"] for name in ("top", "merge")})
        self.out = units["neck.out"]

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        top = self.levels["top"](maps[-1])
        return self.out(self.levels["merge"](maps[-2], top)), top


@final
@dataclass(frozen=True)
class Regions(Head):
    """Scores of each of 100 regions, and how much of anything there is on each level."""

    kind: ClassVar[str] = "regions"
    outputs: ClassVar[tuple[str, ...]] = ("scores", "presence")
    named: ClassVar[tuple[str, ...]] = ("head.answer.",)
    classes: int
    width: int = 8

    @property
    def n_names(self) -> int:
        return self.classes

    def renamed(self, n: int) -> Self:
        return replace(self, classes=n)

    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        looked = tuple(Shape(self.width, one.shape.sides) for one in maps)
        region, vector = Shape(self.width, (SIDE, SIDE)), Shape(self.width)
        ins, paths = tuple(one.shape for one in maps), tuple(one.path for one in maps)
        nodes = [
            Node("head.look", Shared(), ins, looked, paths),
            Node("head.region", OneConv(self.width, 3), (region,), (region,), ("head.look",), REGIONS),
            Node("head.answer", Answer(), (vector,), (Shape(self.classes),), ("head.region",), REGIONS),
        ]
        return nodes, ()

    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        return _Regions(units["head.look"], units["head.region"], units["head.answer"])

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(self, width=grow(self.width))

    def deployed(self, head: nn.Module) -> nn.Module:
        return _Shares(head)


class _Regions(nn.Module):
    def __init__(self, look: nn.Module, region: nn.Module, answer: nn.Module) -> None:
        super().__init__()
        self.look, self.region, self.answer = look, region, answer

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        looked = self.look(*maps)
        rows = int(REGIONS**0.5)
        n, width = looked[0].shape[:2]
        cut = F.interpolate(looked[0], size=(rows * SIDE, rows * SIDE)).view(n, width, rows, SIDE, rows, SIDE)
        regions = cut.permute(0, 2, 4, 1, 3, 5).reshape(n * REGIONS, width, SIDE, SIDE)
        scores = self.answer(self.region(regions).mean((2, 3)))
        presence = sum(one.mean((1, 2, 3)) for one in looked[1:]) + looked[0].mean((1, 2, 3))
        return scores.view(n, REGIONS, -1), presence


class _Shares(nn.Module):
    """How a file ends: scores as shares of one."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        scores, presence = self.head(maps)
        return scores.softmax(-1), presence


KINDS = (*PARTS, Pyramid, Regions)
