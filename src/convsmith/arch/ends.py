"""What stands behind a trunk: a neck, which makes other maps of its maps, and a head, which answers."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from .part import Node, Part
from .shapes import Map, Shape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Head", "Neck"]


@dataclass(frozen=True)
class Neck(Part):
    """What makes other maps of the trunk's maps, such as a feature pyramid.

    It unrolls itself into units, each under a path that begins with `neck`. `drops`: it has residual blocks of its own, and
    stochastic depth is for these alone: the trunk in front of it has none.
    """

    drops: ClassVar[bool] = False

    @property
    def every(self) -> bool:
        """Whether it is given the map at the end of every stage, and not only the last of each total stride."""
        return False

    @property
    def coarsest(self) -> int:
        """The total stride of its coarsest map: scaled input sides are multiples of it."""
        return 1

    @abc.abstractmethod
    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        """The units over `maps`, fine to coarse, in order of execution, and the maps that are handed on, likewise."""

    @abc.abstractmethod
    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        """The module that holds the units (by path) and calls them, of all maps and to all that it hands on, as tuples.

        It has no weights of its own, and `neck.a.b` is its submodule `a.b`.
        """

    @abc.abstractmethod
    def widened(self, grow: Callable[[float], int]) -> Self:
        """The same neck with every width w replaced by `grow(w)`."""

    def deepened(self, repeats: Callable[[float], int]) -> Self:
        """The same neck with every number n of equal blocks replaced by `repeats(n)`; as it is where it has none."""
        return self


@dataclass(frozen=True)
class Head(Part):
    """What turns the last maps into the task's output.

    It unrolls itself into units, each under a path that begins with `head`. `outputs` are the names of what an exported
    file puts out. `named` are the beginnings of the keys of those weights whose shape the data's names fix: for other
    names they begin afresh, and where only what answers is trained, they are it. `whole`: it is shown pictures to their
    borders, shrunk to fit and filled up with black, since something may lie there; other heads are shown the middle.
    `decides`: what a file puts out names one of several places, and rounding names another where two score alike.
    `purpose` is the kind of task that it is for where nobody says. `behind` are the beginnings of the keys of all that is no
    part of the trunk and learns at a rate of its own, where that is more than `named`. `alone`: a file takes one image at a time.
    """

    outputs: ClassVar[tuple[str, ...]]
    named: ClassVar[tuple[str, ...]]
    whole: ClassVar[bool] = False
    decides: ClassVar[bool] = False
    purpose: ClassVar[str] = "classify"
    behind: ClassVar[tuple[str, ...]] = ()
    alone: ClassVar[bool] = False

    @property
    def every(self) -> bool:
        """Whether it is given the map at the end of every stage, and not only the last of each total stride."""
        return False

    @property
    def puts_out(self) -> tuple[str, ...]:
        """Those of `outputs` that a file of this head puts out."""
        return self.outputs

    @property
    def beside(self) -> tuple[Shape, ...]:
        """What it is called with beside the maps, straight from whoever calls the network: nothing, or the number of a class."""
        return ()

    @property
    def makes(self) -> int:
        """The channels of the images that it makes; 0 where it makes none."""
        return 0

    def coloured(self, channels: int) -> Self:
        """The same head for images of so many channels; as it is where it makes none."""
        return self

    @property
    @abc.abstractmethod
    def n_names(self) -> int:
        """How many things it was made to tell apart or to find: classes, joints."""

    @abc.abstractmethod
    def renamed(self, n: int) -> Self:
        """The same head for `n` of them."""

    @abc.abstractmethod
    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        """The units over `maps`, fine to coarse, in order of execution, and no maps: nothing stands behind a head."""

    @abc.abstractmethod
    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        """The module that holds the units (by path) and calls them: `head.a.b` is its submodule `a.b`, and a unit `head`
        may be it itself. It has no weights of its own.

        It is called with the last map; where a unit names what it `reads`, with all maps as a tuple.
        """

    @abc.abstractmethod
    def widened(self, grow: Callable[[float], int]) -> Self:
        """The same head with every width w replaced by `grow(w)`."""

    def showing(self, area: float) -> Self:
        """The same head for images of `area` times as many pixels; as it is where it looks at all of an image alike."""
        return self

    @property
    def choice(self) -> int:
        """The width of a layer of its own that a search may vary; 0 where it has none."""
        return 0

    def with_choice(self, width: int) -> Self:
        """The same head with that width; as it is where `choice` is 0."""
        return self

    def with_dropout(self, rate: float) -> Self:
        """The same head with that dropout; as it is where it has no place for one."""
        return self

    def deployed(self, head: nn.Module) -> nn.Module:
        """How an exported file ends: as it is, or decoded. `head` is what `assembled` made, in evaluation mode."""
        return head
