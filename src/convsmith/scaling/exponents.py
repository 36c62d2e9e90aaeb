"""Scaling along one axis, which every compound rule is compared with (Tan & Le, 2019, figure 3 and table 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ..arch import ArchSpec, grown
from ..units import Rounding
from .rule import Rule

__all__ = ["Depth", "Frames", "Resolution", "Width"]

LEAST, MOST = 1 / 64, 64.0


@final
@dataclass(frozen=True)
class Depth(Rule):
    """x times the blocks of every stage; the last staircase step down is one block a stage."""

    kind: ClassVar[str] = "depth"
    neutral: ClassVar[float] = 1.0
    least: ClassVar[float] = LEAST
    most: ClassVar[float] = MOST
    rounding: Rounding = Rounding()

    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        return grown(base, depth=x, rounding=self.rounding)

    def describe(self, x: float) -> str:
        return f"depth x{x:.3f}"


@final
@dataclass(frozen=True)
class Width(Rule):
    """x times the channels of stem, stages and head."""

    kind: ClassVar[str] = "width"
    neutral: ClassVar[float] = 1.0
    least: ClassVar[float] = LEAST
    most: ClassVar[float] = MOST
    rounding: Rounding = Rounding()

    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        return grown(base, width=x, rounding=self.rounding)

    def describe(self, x: float) -> str:
        return f"width x{x:.3f}"


@final
@dataclass(frozen=True)
class Resolution(Rule):
    """x times the side of the input; parameters stay as they are."""

    kind: ClassVar[str] = "resolution"
    neutral: ClassVar[float] = 1.0
    least: ClassVar[float] = LEAST
    most: ClassVar[float] = MOST
    rounding: Rounding = Rounding()

    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        return grown(base, resolution=x, rounding=self.rounding)

    def describe(self, x: float) -> str:
        return f"resolution x{x:.3f}"


@final
@dataclass(frozen=True)
class Frames(Rule):
    """x times the frames of a clip, as far apart in the film as they were: it sees as much longer. Parameters stay."""

    kind: ClassVar[str] = "frames"
    neutral: ClassVar[float] = 1.0
    least: ClassVar[float] = LEAST
    most: ClassVar[float] = MOST
    rounding: Rounding = Rounding()

    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        return grown(base, frames=x, rounding=self.rounding)

    def describe(self, x: float) -> str:
        return f"frames x{x:.3f}"
