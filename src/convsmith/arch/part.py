"""What a part is: a piece of a network as a frozen value, whose module its `build` makes.

The concrete parts stand in `parts/`, a file each; a `Node` is a part in its place, as `plans.plan` unrolls it.
Nothing here imports torch.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from ..tagged import Tagged, within

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Act",
    "Block",
    "Conv",
    "Head",
    "Mixer",
    "Node",
    "Norm",
    "Padding",
    "Part",
    "Ramp",
    "Stem",
    "Style",
]


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
class Part(Tagged):
    """A piece of a network as a value: its choices as fields, its module made by `build`."""

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
        within("style.drop_path", self.drop_path, 0, 1)


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
class Node:
    """One unrolled unit.

    `path` is its name inside the model (`stem`, `stages.2.0`, `head`); `size` the side of the square map that enters;
    `drop_path` the stochastic-depth rate of its place; `variance` what signal theory expects of the map that enters.
    """

    path: str
    part: Stem | Block | Head
    c_in: int
    c_out: int
    stride: int
    size: int
    drop_path: float = 0.0
    variance: float = 1.0

    @property
    def keeps(self) -> bool:
        """Whether a skip around this unit can be the identity: neither side nor width changes."""
        return self.stride == 1 and self.c_in == self.c_out

    @property
    def size_out(self) -> int:
        """The side that leaves: halving rounds up, with either padding convention."""
        return -(-self.size // self.stride)
