"""SpineNet (Du et al., 2020): blocks of mixed scales, wired across scales by search, which put out a pyramid themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self, final

from torch import Tensor, nn
from torch.nn import functional as F

from ...arch import Map, Neck, Node, Shape, Style, Unit
from ...errors import UserError
from ...ranges import at_least, within
from ..blocks.basic import BasicBlock
from ..blocks.bottleneck import Bottleneck
from ..units import conv_norm, max_pool

__all__ = ["NETS", "Net", "SpineNet", "joined"]


class Net(NamedTuple):
    """One group of blocks: its level (stride 2^level), whether its blocks are bottlenecks or basic ones, the two nets whose
    maps it reads, and whether a map of the pyramid is made of its own."""

    level: int
    bottleneck: bool
    parents: tuple[int, int]
    output: bool = False


# Nets 2 to 16; 0 and 1 are the trunk's two stages. Net 17 stands for those who ask for stride 4, too. tensorflow/tpu,
# models/official/detection/modeling/architecture/spinenet.py; TensorFlow Model Garden, official/vision, has the same table.
# fmt: off
NETS: dict[int, Net] = {
    #       level bottleneck parents   output
    2:  Net(2,    True,      (0,  1)),
    3:  Net(4,    False,     (0,  1)),
    4:  Net(3,    True,      (2,  3)),
    5:  Net(4,    True,      (2,  4)),
    6:  Net(6,    False,     (3,  5)),
    7:  Net(4,    True,      (3,  5)),
    8:  Net(5,    False,     (6,  7)),
    9:  Net(7,    False,     (6,  8)),
    10: Net(5,    True,      (8,  9)),
    11: Net(5,    True,      (8,  10)),
    12: Net(4,    True,      (5,  10), True),
    13: Net(3,    True,      (4,  10), True),
    14: Net(5,    True,      (7,  12), True),
    15: Net(7,    True,      (5,  14), True),
    16: Net(6,    True,      (12, 14), True),
    17: Net(2,    True,      (2,  13), True),
}
# fmt: on
_RISING = 15  # nets over which stochastic depth rises: of the nth, n / 15 of the rate
_TRUNK = Net(2, True, (0, 0))


def joined(nets: Mapping[int, Net] = NETS) -> dict[int, tuple[int, ...]]:
    """For each net the further nets whose maps are added to its input as they are: where a map of the pyramid is made, every
    earlier net that nobody has read yet and whose level and kind, hence sides and width, are the net's own.

    >>> {net: more for net, more in joined().items() if more}
    {14: (11,)}
    """
    read: set[int] = set()
    found: dict[int, tuple[int, ...]] = {}
    for number, net in nets.items():
        read |= set(net.parents)
        alike = (other for other in nets if other < number and other not in read)
        more = tuple(at for at in alike if nets[at][:2] == net[:2]) if net.output else ()
        found[number] = more
        read |= set(more)
    return found


@final
@dataclass(frozen=True)
class Merge(Unit):
    """A group of `repeats` blocks of inner width `width`, bottlenecks or basic ones, after an activation of the sum of

    - two maps resampled: 1x1 to int(`alpha` c), where c is a quarter of a bottleneck's width or a basic block's own; to
      coarser levels a 3x3 with stride 2, and for what is left a max-pool of stride s > 1 and kernel s + 1; to finer ones cells
      repeated; then 1x1 to the input's full width, without activation;
    - and further maps that fit as they are.

    `quarters` says of the two maps whether they are a bottleneck's, `shifts` how many levels finer they are than this one's.
    Stochastic depth has `share` of the style's rate here.
    """

    kind: ClassVar[str] = "spinenet_merge"
    width: int
    bottleneck: bool
    repeats: int
    alpha: float
    quarters: tuple[bool, bool]
    shifts: tuple[int, int]
    share: float

    def build(self, node: Node, style: Style) -> nn.Module:
        inner = node.c_out
        resamples: list[_Resample] = []
        for shape, quarter, shift in zip(node.ins, self.quarters, self.shifts, strict=False):
            channels = shape.channels // 4 if quarter else shape.channels
            resamples.append(_Resample(style, shape.channels, max(1, int(channels * self.alpha)), inner, shift))
        block = Bottleneck(ratio=self.width / inner) if self.bottleneck else BasicBlock()
        inside = Node("", block, node.outs, node.outs, drop_path=style.drop_path * self.share)
        blocks = nn.Sequential(*(block.build(inside, style) for _ in range(self.repeats)))
        return _Merge(resamples, style.norm.activation(), blocks)

    def describe(self) -> str:
        return f"{self.repeats} x {'bottleneck' if self.bottleneck else 'basic'}"


@final
@dataclass(frozen=True)
class End(Unit):
    """1x1 to the pyramid's width, with its norm and activation."""

    kind: ClassVar[str] = "spinenet_end"

    def build(self, node: Node, style: Style) -> nn.Module:
        return conv_norm(style, node.c_in, node.c_out, 1)

    def describe(self) -> str:
        return "conv 1x1"


@final
@dataclass(frozen=True)
class SpineNet(Neck):
    """The nets of `NETS` on a trunk of two stages of bottlenecks at stride 4, and a map of width `ends` for each level from
    `low` (3, or 2 with one net more) to 7.

    Blocks have the inner width `widths` by level: 2, 3, and 4 to 7; bottlenecks put out four times it. `repeats` is of every
    group, the trunk's stages among them; `alpha` is the resamplings' (`Merge`). Stochastic depth is the style's rate at the
    last net, in proportion before, and none in the trunk.

    Sides that are no multiples of 128 are rounded up level by level. Padding is symmetric, or what the style says.
    """

    kind: ClassVar[str] = "spinenet"
    drops: ClassVar[bool] = True
    widths: tuple[int, int, int] = (64, 128, 256)
    ends: int = 256
    repeats: int = 1
    alpha: float = 0.5
    low: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        for width in (*self.widths, self.ends):
            at_least("spinenet.widths", width, 1)
        at_least("spinenet.repeats", self.repeats, 1, 64)
        within("spinenet.alpha", self.alpha, 0, 4)
        at_least("spinenet.low", self.low, 2, 3)

    @property
    def every(self) -> bool:
        return True

    @property
    def coarsest(self) -> int:
        return 128

    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        if len(maps) < 2 or any(one.stride != 4 for one in maps[-2:]):
            raise UserError(
                "spinenet stands on two stages at total stride 4, and this trunk ends in stages at strides "
                f"{', '.join(str(one.stride) for one in maps[-2:])}: `cs.spec('mask_rcnn_spinenet_49')` has such a trunk"
            )
        nets = {number: net for number, net in NETS.items() if net.level >= self.low or not net.output}
        more = joined(nets)
        known = {0: maps[-2], 1: maps[-1]}
        base = maps[-1].shape
        nodes = []
        for number, net in nets.items():
            width = self._width(net)
            out = base.strided(2 ** (net.level - 2), 4 * width if net.bottleneck else width)
            parents = [NETS.get(at, _TRUNK) for at in net.parents]
            part = Merge(
                width,
                net.bottleneck,
                self.repeats,
                self.alpha,
                quarters=(parents[0].bottleneck, parents[1].bottleneck),
                shifts=(net.level - parents[0].level, net.level - parents[1].level),
                share=min(1.0, (number - 1) / _RISING),
            )
            read = [known[at] for at in (*net.parents, *more[number])]
            ins, reads = tuple(one.shape for one in read), tuple(one.path for one in read)
            nodes.append(Node(f"neck.nets.{number}", part, ins, (out,), reads))
            known[number] = Map(nodes[-1].path, 2**net.level, out)
        handed = []
        for number in sorted((number for number, net in nets.items() if net.output), key=lambda at: nets[at].level):
            read_from = known[number]
            level = nets[number].level
            shape = Shape(self.ends, read_from.shape.sides)
            nodes.append(Node(f"neck.ends.{level}", End(), (read_from.shape,), (shape,), (read_from.path,)))
            handed.append(Map(nodes[-1].path, read_from.stride, shape))
        return nodes, tuple(handed)

    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        return _Spine(units)

    def widened(self, grow: Callable[[float], int]) -> Self:
        two, three, more = (grow(width) for width in self.widths)
        return replace(self, widths=(two, three, more), ends=grow(self.ends))

    def deepened(self, repeats: Callable[[float], int]) -> Self:
        return replace(self, repeats=repeats(self.repeats))

    def describe(self) -> str:
        return f"spinenet of strides {2**self.low} to 128, {self.ends} wide"

    def _width(self, net: Net) -> int:
        return self.widths[min(net.level, 4) - 2]


class _Resample(nn.Module):
    """A map at another level and of another width; `shift` levels coarser, or finer where it is below 0."""

    def __init__(self, style: Style, c_in: int, middle: int, c_out: int, shift: int) -> None:
        super().__init__()
        self.reduce = conv_norm(style, c_in, middle, 1)
        self.down: nn.Module = nn.Identity()
        if shift > 0:
            self.down = conv_norm(style, middle, middle, 3, stride=2)
        left = 2 ** (shift - 1) if shift > 1 else 1
        self.pool: nn.Module = max_pool(style, left + 1, left) if left > 1 else nn.Identity()
        self.expand = conv_norm(style, middle, c_out, 1, activate=False)
        self.finer = shift < 0

    def forward(self, x: Tensor, sides: tuple[int, int] | None = None) -> Tensor:
        x = self.pool(self.down(self.reduce(x)))
        if self.finer:
            x = F.interpolate(x, size=sides, mode="nearest")
        out: Tensor = self.expand(x)
        return out


class _Merge(nn.Module):
    def __init__(self, resamples: list[_Resample], act: nn.Module, blocks: nn.Module) -> None:
        super().__init__()
        self.resample = nn.ModuleList(resamples)
        self.act = act
        self.blocks = blocks
        # One parent at least is as fine as the net or finer; its resampled map says the sides.
        self._order = sorted(range(len(resamples)), key=lambda at: resamples[at].finer)

    def forward(self, *maps: Tensor) -> Tensor:
        total: Tensor | None = None
        for at in self._order:
            x = self.resample[at](maps[at], None if total is None else (total.shape[2], total.shape[3]))
            total = x if total is None else total + x
        for x in maps[len(self._order) :]:
            total = x if total is None else total + x
        out: Tensor = self.blocks(self.act(total))
        return out


class _Spine(nn.Module):
    def __init__(self, units: Mapping[str, nn.Module]) -> None:
        super().__init__()
        named: dict[str, dict[str, nn.Module]] = {"nets": {}, "ends": {}}
        for path, unit in units.items():
            _, group, number = path.split(".")
            named[group][number] = unit
        self.nets, self.ends = nn.ModuleDict(named["nets"]), nn.ModuleDict(named["ends"])
        nets = {number: net for number, net in NETS.items() if str(number) in self.nets}
        self._read = {str(at): (*nets[at].parents, *more) for at, more in joined(nets).items()}
        self._of = {str(net.level): number for number, net in nets.items() if net.output}

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        known = {0: maps[-2], 1: maps[-1]}
        for number, net in self.nets.items():
            known[int(number)] = net(*(known[at] for at in self._read[number]))
        return tuple(end(known[self._of[level]]) for level, end in self.ends.items())
