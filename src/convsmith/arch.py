"""An architecture is a frozen value.

An `ArchSpec` says what a network *is*: a stem, stages of equal blocks, a head, and a style that holds for all of them.
It is hashable, comparable, printable and survives JSON. It never holds what can be derived from it: no input widths, no
feature-map sizes, no counts. `plans.plan` unrolls it; the model, the cost, the tables and the exporters read that plan.

Nothing here imports torch. What a part *does* stands beside it, in its own file under `parts/`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, Self

from .units import Rounding

if TYPE_CHECKING:
    from torch import nn

    from .plans import Node

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Act",
    "ArchSpec",
    "Block",
    "Conv",
    "Head",
    "Image",
    "Mixer",
    "Norm",
    "Padding",
    "Part",
    "Ramp",
    "Stage",
    "Stem",
    "Style",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Act(StrEnum):
    """An activation function."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"
    SILU = "silu"
    HARD_SWISH = "hard_swish"
    GELU = "gelu"
    SIGMOID = "sigmoid"
    HARD_SIGMOID = "hard_sigmoid"


class Padding(StrEnum):
    """What stands around a map.

    symmetric: zeros, k // 2 on every side, as torch's networks have it. same: TensorFlow's rule, zeros so that the side
    becomes ceil(s / stride), the odd one of them at the far end; it differs from symmetric where a stride meets an even
    side, so weights of one do not fit the other. circular: the map's other end, for signal theory without borders.
    """

    SYMMETRIC = "symmetric"
    SAME = "same"
    CIRCULAR = "circular"


class Ramp(StrEnum):
    """How stochastic depth grows with depth. blocks: block b of N drops at rate * b / N, from 0 (EfficientNet). stages:
    every block of stage s of S, counted from 0, at rate * (s + 2) / (S + 1), the stem being the first group (ResNet-RS:
    0.4, 0.6, 0.8 and 1 of the rate)."""

    BLOCKS = "blocks"
    STAGES = "stages"


@dataclass(frozen=True)
class Part(abc.ABC):
    """A piece of a network as a value: its choices as fields, its module made by `build`.

    `kind` names it in files. Concrete parts are final: nothing derives from them.
    """

    kind: ClassVar[str]

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


@dataclass(frozen=True)
class Conv(Part):
    """How the network's convolutions are made: padding, and whether weights are re-parametrised."""

    padding: Padding = Padding.SYMMETRIC

    @abc.abstractmethod
    def build(
        self, c_in: int, c_out: int, kernel: int, *, stride: int = 1, groups: int = 1, bias: bool = False
    ) -> nn.Module:
        """A convolution that maps side s to ceil(s / stride)."""


@dataclass(frozen=True)
class Mixer(Part):
    """What may stand where a block's k x k convolution stood: it mixes positions and keeps the width."""

    @abc.abstractmethod
    def build(self, channels: int, *, stride: int, size: int, style: Style) -> nn.Module:
        """A module ⟨N,channels,s,s⟩ -> ⟨N,channels,ceil(s/stride),ceil(s/stride)⟩ for maps of side `size`.

        The block puts the network's norm-activation after it, so it ends in neither.
        """


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
        _within("style.drop_path", self.drop_path, 0, 1)


@dataclass(frozen=True)
class Block(Part):
    """One residual (or plain) unit of a stage."""

    @abc.abstractmethod
    def build(self, node: Node, style: Style) -> nn.Module:
        """A module ⟨N, node.c_in, s, s⟩ -> ⟨N, node.c_out, ceil(s/stride), ceil(s/stride)⟩."""

    def variance(self, before: float, *, keeps: bool) -> float:
        """The variance that leaves by signal theory when `before` enters; `keeps` where the skip is the identity.

        A block that does not reckon with it lets 1 through; normaliser-free blocks divide their input by its root.
        """
        return 1.0


@dataclass(frozen=True)
class Stem(Part):
    """What the image meets first; `width` is its output width."""

    width: int

    @property
    @abc.abstractmethod
    def reduction(self) -> int:
        """The total stride, of convolutions and pooling together."""

    @abc.abstractmethod
    def build(self, node: Node, style: Style) -> nn.Module: ...

    @abc.abstractmethod
    def widened(self, grow: Callable[[float], int]) -> Self:
        """The same stem with every width w replaced by `grow(w)`."""


@dataclass(frozen=True)
class Head(Part):
    """What turns the last feature map into the task's output."""

    classes: int

    @abc.abstractmethod
    def build(self, node: Node, style: Style) -> nn.Module: ...

    @abc.abstractmethod
    def widened(self, grow: Callable[[float], int]) -> Self:
        """The same head with every width w replaced by `grow(w)`."""


@dataclass(frozen=True)
class Stage:
    """A run of equal blocks. The stride belongs to the first of them.

    Two kinds of block at one resolution are two stages, the second with stride 1.
    """

    block: Block
    depth: int
    width: int
    stride: int

    def __post_init__(self) -> None:
        _at_least("stage.depth", self.depth, 1)
        _at_least("stage.width", self.width, 1)
        _at_least("stage.stride", self.stride, 1)


@dataclass(frozen=True)
class Image:
    """What goes in: a square image, and the numbers that normalise it (on the [0, 1] scale)."""

    resolution: int
    channels: int = 3
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        _at_least("input.resolution", self.resolution, 1)
        _at_least("input.channels", self.channels, 1)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ValueError(f"input.{name} has {len(values)} values for {self.channels} channels")
        if min(self.std) <= 0:
            raise ValueError(f"input.std must be above 0; got {self.std}")


@dataclass(frozen=True)
class ArchSpec:
    """A whole network as a value.

    >>> import convsmith as cs
    >>> spec = cs.spec("efficientnet_b0")
    >>> spec == cs.from_json(spec.to_json())
    True
    """

    name: str
    input: Image
    style: Style
    stem: Stem
    stages: tuple[Stage, ...]
    head: Head

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError(f"{self.name}: a network needs at least one stage")

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return sum(stage.depth for stage in self.stages)

    def to_json(self) -> str:
        """This value as JSON text, a fixed point of `from_json`."""
        from .codec import to_json

        return to_json(self)

    def with_classes(self, classes: int) -> ArchSpec:
        """The same network for another number of classes."""
        _at_least("classes", classes, 1)
        return replace(self, head=replace(self.head, classes=classes))

    def with_resolution(self, resolution: int) -> ArchSpec:
        """The same network read at another resolution; its parameters do not change."""
        return replace(self, input=replace(self.input, resolution=resolution))

    def with_channels(self, channels: int) -> ArchSpec:
        """The same network for images of another number of channels, normalised by the mean of the old numbers."""
        mean, std = self.input.mean, self.input.std
        grey = replace(
            self.input,
            channels=channels,
            mean=(sum(mean) / len(mean),) * channels,
            std=(sum(std) / len(std),) * channels,
        )
        return self if channels == self.input.channels else replace(self, input=grey)

    def with_style(
        self,
        *,
        norm: Norm | None = None,
        conv: Conv | None = None,
        drop_path: float | None = None,
        zero_last: bool | None = None,
        ramp: Ramp | None = None,
    ) -> ArchSpec:
        """The same network in another style, such as `spec.with_style(norm=GroupNorm())`; what is not given stays."""
        own = self.style
        style = Style(
            norm=own.norm if norm is None else norm,
            conv=own.conv if conv is None else conv,
            drop_path=own.drop_path if drop_path is None else drop_path,
            zero_last=own.zero_last if zero_last is None else zero_last,
            ramp=own.ramp if ramp is None else ramp,
        )
        return replace(self, style=style)

    def with_mixer(self, stage: int, mixer: Mixer | None, *, blocks: Collection[int] | None = None) -> ArchSpec:
        """The same network with `mixer` where stage `stage` (counted from 0, as `spec.stages`) had its k x k convolutions.

        `blocks` names which of the stage's blocks, from 0; without it all of them. A stage of two kinds of block becomes
        several stages, each a run of equal blocks, the stride on the first. `None` puts the convolution back.

        Raises:
            ValueError: no such stage or block, or a block that has no place for a mixer.
        """
        if not -len(self.stages) <= stage < len(self.stages):
            raise ValueError(f"{self.name} has stages 0 to {len(self.stages) - 1}; got {stage}")
        stage %= len(self.stages)
        old = self.stages[stage]
        if "mixer" not in {field.name for field in fields(old.block)}:
            raise ValueError(f"a {old.block.kind} block has no k x k convolution that a mixer could stand for")
        chosen = range(old.depth) if blocks is None else blocks
        if any(not 0 <= block < old.depth for block in chosen):
            raise ValueError(f"stage {stage} of {self.name} has blocks 0 to {old.depth - 1}; got {sorted(chosen)}")
        mixed = replace(old.block, mixer=mixer)  # type: ignore[call-arg]
        runs: list[Stage] = []
        for block, run in groupby(mixed if index in chosen else old.block for index in range(old.depth)):
            runs.append(replace(old, block=block, depth=len(list(run)), stride=1 if runs else old.stride))
        return replace(self, stages=(*self.stages[:stage], *runs, *self.stages[stage + 1 :]))


def grown(
    spec: ArchSpec, *, depth: float = 1.0, width: float = 1.0, resolution: float = 1.0, rounding: Rounding
) -> ArchSpec:
    """`spec` with depth, width and resolution multiplied (EfficientNet, section 3.1):

        L_i = d L_i,  C_i = w C_i,  (H, W) = r (H, W)

    Every stage's depth and width, the stem's and the head's widths are scaled; kernels, strides, expansion ratios and
    the classifier are not. `rounding` says how the products become integers. Factors of exactly 1 change nothing, even
    where the spec's own widths are no multiples of the rounding's step.
    """

    def grow(channels: float) -> int:
        return rounding.width(channels * width)

    stages, stem, head = spec.stages, spec.stem, spec.head
    if width != 1:
        stages = tuple(replace(stage, width=grow(stage.width)) for stage in stages)
        stem = stem if rounding.keep_stem else stem.widened(grow)
        least = rounding.least_head
        head = head.widened(lambda channels: max(least, grow(channels), int(channels) if rounding.keep_head else 0))
    if depth != 1:
        stages = tuple(replace(stage, depth=rounding.repeats(stage.depth * depth)) for stage in stages)
    image = (
        spec.input
        if resolution == 1
        else replace(spec.input, resolution=rounding.resolution(spec.input.resolution * resolution))
    )
    return replace(spec, input=image, stem=stem, stages=stages, head=head)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value < high:
        raise ValueError(f"{name} must be in [{low}, {high}); got {value}")
