"""The feature pyramid (Lin et al., 2017): maps of one width at every stride, each with what the coarser ones know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Self, final

from torch import Tensor, nn
from torch.nn import functional as F

from ...arch import Map, Neck, Node, Norm, Shape, Style, Unit
from ...errors import UserError
from ...layers import Conv2d
from ...ranges import at_least
from ..norms.none import NoNorm
from ..units import opening, own_style, spatial_conv

__all__ = ["FPN", "Form", "Top"]


class Form(StrEnum):
    """Where a pyramid and its heads have their norms.

    tensorflow: every convolution keeps its bias; a pyramid has one norm without activation behind everything, a level its own;
    every hidden layer of the heads has one, of the proposals' a level its own (tensorflow/tpu, models/official/detection).
    torchvision: a norm takes a bias's place; a pyramid has it behind every convolution; in the heads the 3x3 convolutions of
    boxes and masks have it, and nothing else (torchvision's `fpn_v2` builders).
    """

    TENSORFLOW = "tensorflow"
    TORCHVISION = "torchvision"


class Top(StrEnum):
    """How maps coarser than the trunk's come about. conv: a 3x3 convolution with stride 2 of the level before, as it is
    before its norm, activated from the second on. subsample: every second cell of the level before (torchvision)."""

    CONV = "conv"
    SUBSAMPLE = "subsample"


@final
@dataclass(frozen=True)
class Lateral(Unit):
    """1x1 to the pyramid's width of a map of the trunk, plus the coarser merged map, enlarged to its sides.

    A trunk whose blocks end in a bare sum (`activated` False) has its missing norm-act first, in the network's own style.
    `place` is which of the trunk's maps it reads.
    """

    kind: ClassVar[str] = "lateral"
    norm: Norm | None
    form: Form
    activated: bool
    place: int

    def build(self, node: Node, style: Style) -> nn.Module:
        bare = nn.Identity() if self.activated else opening(style.norm, node.c_in, node.variance)
        own = own_style(style, self.norm)
        conv = own.conv.build(node.c_in, node.c_out, 1, bias=_biased(own, self.form))
        return _Merged(bare, _started(conv), _behind(own, self.form, node.c_out), self.place)

    def describe(self) -> str:
        return "lateral 1x1"


@final
@dataclass(frozen=True)
class Smooth(Unit):
    """A bare 3x3 convolution of a merged map; `above`, one with stride 2 of the level before, `activated` where that is
    such a one, too."""

    kind: ClassVar[str] = "smooth"
    norm: Norm | None
    form: Form
    separable: bool
    above: bool = False
    activated: bool = False

    def build(self, node: Node, style: Style) -> nn.Module:
        own = own_style(style, self.norm)
        bias, stride = _biased(own, self.form), 2 if self.above else 1
        conv = spatial_conv(own, node.c_in, node.c_out, stride=stride, bias=bias, separable=self.separable)
        act = nn.ReLU() if self.activated else nn.Identity()
        return _Smooth(act, _started(conv), _behind(own, self.form, node.c_out))

    def describe(self) -> str:
        return "separable conv 3x3" if self.separable else "conv 3x3"


@final
@dataclass(frozen=True)
class Subsample(Unit):
    """Every second cell, from the first on."""

    kind: ClassVar[str] = "subsample"

    def build(self, node: Node, style: Style) -> nn.Module:
        return nn.MaxPool2d(1, 2)

    def describe(self) -> str:
        return "subsample"


@final
@dataclass(frozen=True)
class LevelNorm(Unit):
    """The norm without activation that a level ends in."""

    kind: ClassVar[str] = "level_norm"
    norm: Norm | None

    def build(self, node: Node, style: Style) -> nn.Module:
        return own_style(style, self.norm).norm.for_pixels(node.c_out).build(node.c_out, activate=False)

    def describe(self) -> str:
        return "norm"


@final
@dataclass(frozen=True)
class FPN(Neck):
    """Maps P_l of strides 2^l, l = `low`..`high`, all of `width`, from a trunk's last maps C_l of these strides:

        M_l = lateral(C_l) + enlarged(M_{l+1}),   P_l = conv3x3(M_l),   beyond the trunk as `top` says,

    enlarged by repeating cells, then the norms of `form`. `norm` is None for the network's own, `NoNorm` for none, any other
    for one of the pyramid's own, behind plain convolutions. `separable` makes a depthwise and a 1x1 convolution of each 3x3.
    With `activated` False the maps of the trunk are bare sums and get their norm-act first.

    Convolutions start at U(-b, b), b = sqrt(3 / fan-in), which keeps the variance, since nothing is activated here, and
    biases at 0 (torchvision's); standardised ones as they always do.
    """

    kind: ClassVar[str] = "fpn"
    low: int = 2
    high: int = 6
    width: int = 256
    norm: Norm | None = None
    form: Form = Form.TENSORFLOW
    top: Top = Top.CONV
    separable: bool = False
    activated: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("fpn.low", self.low, 1, 12)
        at_least("fpn.high", self.high, self.low, 12)
        at_least("fpn.width", self.width, 1)

    @property
    def coarsest(self) -> int:
        return 2**self.high

    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        taps = self._taps(maps)
        last = max(taps)
        shapes = {level: Shape(self.width, maps[at].shape.sides) for level, at in taps.items()}
        for level in range(last + 1, self.high + 1):
            shapes[level] = shapes[level - 1].strided(2, self.width)
        merged: dict[int, Node] = {}
        for level, at in reversed(taps.items()):
            ins, reads = [maps[at].shape], [maps[at].path]
            if level < last:
                ins, reads = [*ins, shapes[level + 1]], [*reads, merged[level + 1].path]
            part = Lateral(self.norm, self.form, self.activated, at)
            path, variance = f"neck.lateral.{level}", maps[at].variance
            merged[level] = Node(path, part, tuple(ins), (shapes[level],), tuple(reads), variance=variance)
        nodes = [*merged.values()]
        for level, shape in shapes.items():
            above = level > last
            read = f"neck.out.{level - 1}" if above else merged[level].path
            entering = shapes[level - 1] if above else shape
            smooth = Smooth(self.norm, self.form, self.separable, above, level > last + 1)
            unit = Subsample() if above and self.top is Top.SUBSAMPLE else smooth
            stride = 2 if above else 1
            nodes.append(Node(f"neck.out.{level}", unit, (entering,), (shape,), (read,), stride=stride))
        handed = "out"
        if self.form is Form.TENSORFLOW:
            handed = "norm"
            for level, shape in shapes.items():
                nodes.append(
                    Node(f"neck.norm.{level}", LevelNorm(self.norm), (shape,), (shape,), (f"neck.out.{level}",))
                )
        return nodes, tuple(Map(f"neck.{handed}.{level}", 2**level, shape) for level, shape in shapes.items())

    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        return _Pyramid(units)

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(self, width=grow(self.width))

    def describe(self) -> str:
        return f"pyramid of strides {2**self.low} to {2**self.high}, {self.width} wide"

    def _taps(self, maps: Sequence[Map]) -> dict[int, int]:
        """For each level that the trunk has, from the finest on, which of its maps it is."""
        places = {one.stride: at for at, one in enumerate(maps)}
        taps: dict[int, int] = {}
        for level in range(self.low, self.high + 1):
            if 2**level not in places:
                break
            taps[level] = places[2**level]
        if not taps:
            strides = ", ".join(map(str, places))
            raise UserError(
                f"a pyramid that begins at stride {2**self.low} reads a map of that stride, and this trunk has maps of strides "
                f"{strides}: give it another `low`, or take another trunk"
            )
        return taps


def _biased(own: Style, form: Form) -> bool:
    return form is Form.TENSORFLOW or isinstance(own.norm, NoNorm)


def _behind(own: Style, form: Form, channels: int) -> nn.Module:
    """What stands behind a convolution itself."""
    if form is Form.TENSORFLOW:
        return nn.Identity()
    return own.norm.for_pixels(channels).build(channels, activate=False)


def _started(conv: nn.Module) -> nn.Module:
    for module in conv.modules():
        if isinstance(module, Conv2d):
            nn.init.kaiming_uniform_(module.weight, a=1)
    return conv


class _Merged(nn.Module):
    """`place` is which of the trunk's maps it reads."""

    def __init__(self, bare: nn.Module, conv: nn.Module, norm: nn.Module, place: int) -> None:
        super().__init__()
        self.bare, self.conv, self.norm, self.place = bare, conv, norm, place

    def forward(self, fine: Tensor, coarse: Tensor | None = None) -> Tensor:
        x: Tensor = self.norm(self.conv(self.bare(fine)))
        return x if coarse is None else x + F.interpolate(coarse, size=x.shape[2:], mode="nearest")


class _Smooth(nn.Module):
    def __init__(self, act: nn.Module, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.act, self.conv, self.norm = act, conv, norm

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(self.act(x)))
        return out


class _Pyramid(nn.Module):
    def __init__(self, units: Mapping[str, nn.Module]) -> None:
        super().__init__()
        groups: dict[str, dict[str, nn.Module]] = {}
        for path, unit in units.items():
            _, group, level = path.split(".")
            groups.setdefault(group, {})[level] = unit
        self.lateral = nn.ModuleDict(groups["lateral"])
        self.out = nn.ModuleDict(groups["out"])
        self.norm = nn.ModuleDict(groups["norm"]) if "norm" in groups else None
        self._places = {level: getattr(lateral, "place", 0) for level, lateral in groups["lateral"].items()}

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        merged: dict[str, Tensor] = {}
        coarser: tuple[Tensor, ...] = ()
        for level, lateral in self.lateral.items():
            coarser = (lateral(maps[self._places[level]], *coarser),)
            merged[level] = coarser[0]
        found: dict[str, Tensor] = {}
        last = None
        for level, out in self.out.items():
            last = out(merged.get(level, last))
            found[level] = last
        if self.norm is not None:
            found = {level: norm(found[level]) for level, norm in self.norm.items()}
        return tuple(found.values())
