"""What a part is: a piece of a network as a frozen value, whose module its `build` makes. `ends` has what stands behind a trunk.

The concrete parts stand in `parts/`, a file each; a `Node` is a part in its place, as `plans.plan` unrolls it.
Nothing here imports torch.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

from ..errors import UserError
from ..ranges import at_least, check_numbers, odd, within
from ..tagged import LATER, Tagged
from .habits import Act, Edges, Padding, Ramp
from .shapes import Shape

if TYPE_CHECKING:
    from torch import nn

    from .inputs import Image

__all__ = [
    "Act",
    "Block",
    "Choices",
    "Conv",
    "Edges",
    "Mixer",
    "Node",
    "Norm",
    "Padding",
    "Part",
    "Ramp",
    "Stem",
    "Style",
    "Unit",
]


@dataclass(frozen=True)
class Part(Tagged):
    """A piece of a network as a value: its choices as fields, its module made by `build`.

    Its numbers are finite, and whole where they are counts; a part with ranges of its own calls `super().__post_init__()`.
    """

    def __post_init__(self) -> None:
        check_numbers(self, self.kind)

    def describe(self) -> str:
        """A few words for tables, such as `mbconv k3 e6 se0.25`."""
        return self.kind


@dataclass(frozen=True)
class Norm(Part):
    """Normalisation and the activation that follows it, as one part: some layers (EvoNorm) cannot be split."""

    @abc.abstractmethod
    def build(self, channels: int, *, activate: bool = True, zero: bool = False) -> nn.Module:
        """A module ⟨N,C,H,W⟩ -> ⟨N,C,H,W⟩. `activate=False` leaves the activation out, as at the end of a residual
        branch; `zero` starts the scale at 0, so that a residual block starts as the identity."""

    @abc.abstractmethod
    def activation(self) -> nn.Module:
        """The activation alone, for the places that have one without a normalisation before it."""

    def core(self, channels: int) -> tuple[nn.Module, nn.Module]:
        """The layer without its scale and shift, and what follows these: for where they come from elsewhere, such as a class.

        Raises:
            UserError: it cannot be had without.
        """
        raise UserError(
            f"{self.describe()} does not say what it is without scale and shift, which here come from a class"
        )

    def with_eps(self, eps: float) -> Self:
        """The same norm with that epsilon; as it is where it has none."""
        return self

    def for_pixels(self, channels: int) -> Self:
        """The same norm for maps of `channels` that may be of one pixel, where a group of a channel or two has nothing to
        take statistics of; as it is where it knows no groups."""
        return self


@dataclass(frozen=True)
class Conv(Part):
    """How the network's convolutions are made: padding, and whether weights are re-parametrised."""

    padding: Padding = Padding.SYMMETRIC
    edges: Edges = field(default=Edges.ZEROS, metadata=LATER, kw_only=True)

    @abc.abstractmethod
    def build(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        dilation: int = 1,
        temporal: int = 1,
        over: int = 1,
    ) -> nn.Module:
        """A convolution that maps side s to ceil(s / stride). Its taps lie `dilation` cells apart. Of clips it reads
        `temporal` frames at once and maps T of them to ceil(T / over); one frame at a time, it is the same for pictures.

        A part that does not know `dilation`, or `temporal` and `over`, serves every network that has none.
        """

    def linear(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
        """A linear layer ⟨N,inputs⟩ -> ⟨N,outputs⟩, where a trunk has one: with weights as the convolutions have them."""
        from torch import nn

        return nn.Linear(inputs, outputs, bias=bias)

    def embedding(self, classes: int, width: int) -> nn.Module:
        """A vector for each class, ⟨N⟩ -> ⟨N,width⟩, likewise."""
        from torch import nn

        return nn.Embedding(classes, width)


@dataclass(frozen=True)
class Mixer(Part):
    """What may stand where a block's k x k convolution stood: it mixes positions and keeps the width."""

    @abc.abstractmethod
    def build(self, channels: int, *, stride: int, sides: tuple[int, ...], style: Style) -> nn.Module:
        """A module ⟨N,channels,H,W⟩ -> ⟨N,channels,ceil(H/stride),ceil(W/stride)⟩ for maps of `sides` (H, W).

        The block puts the network's norm-activation after it, so it ends in neither.
        """


_EXAMPLES: Mapping[type[Part], str] = {Norm: "GroupNorm()", Conv: "ScaledWS()"}


@dataclass(frozen=True)
class Style:
    """Choices that hold for the whole network.

    `drop_path` is the stochastic-depth rate that the last residual block approaches, by the rule that `ramp` names.
    `zero_last` starts the last normalisation of every residual branch at 0.
    """

    norm: Norm
    conv: Conv
    drop_path: float = 0.0
    zero_last: bool = False
    ramp: Ramp = Ramp.BLOCKS

    def __post_init__(self) -> None:
        check_numbers(self, "style")
        for name, part, kind in (("norm", self.norm, Norm), ("conv", self.conv, Conv)):
            if not isinstance(part, kind):
                raise ValueError(f"style.{name} must be a {kind.__name__}, such as cs.{_EXAMPLES[kind]}; got {part!r}")
        within("style.drop_path", self.drop_path, 0, 1)


@dataclass(frozen=True)
class Unit(Part):
    """A part that stands in a plan by itself and makes a module with weights."""

    @abc.abstractmethod
    def build(self, node: Node, style: Style) -> nn.Module:
        """A module that takes one tensor ⟨N,*node.ins[i].dims⟩ after another and puts out those of `node.outs`."""

    def shown_width(self, node: Node) -> int:
        """The width that tables show of the unit: of what it puts out, or of its last map where that is no map."""
        return node.c_out


@dataclass(frozen=True, slots=True)
class Choices:
    """What a search may vary about a block: the `kernel` of the convolution that mixes positions, and the ratio `expand` of
    its middle to the width that this is reckoned from; None for what it has not. A `mixer` in the convolution's place leaves
    the kernel without a meaning."""

    kernel: int | None = None
    expand: float | None = None
    mixer: Mixer | None = None


@dataclass(frozen=True)
class Block(Unit):
    """One residual (or plain) unit of a stage: ⟨N,c_in,H,W⟩ -> ⟨N,c_out,ceil(H/stride),ceil(W/stride)⟩.

    `grows`: it multiplies the sides by the stride instead. `conditional`: it is called with a condition beside the map, one of
    those that the stem puts out.
    """

    grows: ClassVar[bool] = False
    conditional: ClassVar[bool] = False

    def leaves(self, entering: Shape, stride: int, width: int, over: int = 1) -> Shape:
        """The map that leaves; `over` is the stride over time, of clips."""
        if not self.grows:
            return entering.strided(stride, width, over)
        return Shape(width, tuple(side * stride for side in entering.sides))

    @property
    def choices(self) -> Choices:
        """What may vary about it, as it is now."""
        return Choices()

    def varied(self, kernel: int, expand: float) -> Self:
        """The same block with these of its choices; one that it does not have changes nothing."""
        return self

    def with_mixer(self, mixer: Mixer | None) -> Self:
        """The same block with `mixer` where its convolution stood.

        Raises:
            ValueError: it has no such place.
        """
        raise ValueError(f"a {self.kind} block has no k x k convolution that a mixer could stand for")

    def dilated(self, times: int) -> Self:
        """The same block on a map that is `times` as fine, its taps that much farther apart, so that they meet what they
        met before. As it is where the kind's rule is not to dilate: DeepLabCut's for MobileNetV2 and EfficientNet."""
        return self

    def variance(self, before: float, *, keeps: bool) -> float:
        """The variance that leaves by signal theory when `before` enters; `keeps` where the skip is the identity.

        A block that does not reckon with it lets 1 through; normaliser-free blocks divide their input by its root.
        """
        return 1.0


@dataclass(frozen=True)
class Stem(Unit):
    """What the image meets first; `width` is its output width. Of clips its first convolution reads `temporal` frames, with
    stride `over` over time."""

    width: int
    temporal: int = field(default=1, metadata=LATER, kw_only=True)
    over: int = field(default=1, metadata=LATER, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(f"{self.kind}.width", self.width, 1)
        odd(f"{self.kind}.temporal", self.temporal)
        at_least(f"{self.kind}.over", self.over, 1)

    @property
    @abc.abstractmethod
    def reduction(self) -> int:
        """The total stride, of convolutions and pooling together."""

    @property
    def reduction_over_time(self) -> int:
        """The total stride over time, likewise."""
        return self.over

    @property
    def maxima(self) -> bool:
        """Whether it ends in a 3x3 max-pool with stride 2 of what a convolution puts out as it is."""
        return False

    def leaves(self, image: Image, growth: int, readers: int) -> tuple[Shape, ...]:
        """The map that it puts out, and behind it a condition for each of `readers` blocks, where there are any.

        `growth` is how many times larger than that map the blocks make the image's sides.

        Raises:
            UserError: it has no conditions to tell.
        """
        if readers:
            raise UserError(
                f"{self.describe()} does not tell the blocks behind it of any class: give the network a LatentStem"
            )
        return (image.shape.strided(self.reduction, self.width, self.reduction_over_time),)

    @abc.abstractmethod
    def widened(self, grow: Callable[[float], int]) -> Self:
        """The same stem with every width w replaced by `grow(w)`."""


@dataclass(frozen=True)
class Node:
    """One unrolled unit.

    `path` is its name inside the model (`stem`, `stages.2.0`, `head`); `ins` and `outs` the shapes that enter and leave;
    `reads` the paths of the units whose maps enter, () for the one before; `times` how often it runs for one input
    (regions of an image; never in evaluation: 0); `drop_path` the stochastic-depth rate of its place; `variance` what signal
    theory expects of the map that enters; `traded` the stride that dilation stands for from its first convolution on, which
    itself still reads the map as it was; `temporal` the frames of a clip that its convolution over time reads, `over` its
    stride there; `last` whether it ends its stage.
    """

    path: str
    part: Unit
    ins: tuple[Shape, ...]
    outs: tuple[Shape, ...]
    reads: tuple[str, ...] = ()
    times: int = 1
    stride: int = 1
    drop_path: float = 0.0
    variance: float = 1.0
    traded: int = 1
    temporal: int = 1
    over: int = 1
    last: bool = False

    @property
    def c_in(self) -> int:
        """The width that enters."""
        return self.ins[0].channels

    @property
    def c_out(self) -> int:
        """The width that leaves."""
        return self.outs[0].channels

    @property
    def sides(self) -> tuple[int, ...]:
        """The sides of the map that enters."""
        return self.ins[0].sides

    @property
    def keeps(self) -> bool:
        """Whether a skip around this unit can be the identity: neither sides nor width change."""
        return self.stride == self.over == 1 and self.c_in == self.c_out
