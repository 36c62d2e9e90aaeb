"""`model.int8.blocks.json`: what eight bits cost each block, and what it is worth to leave the worst in float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ..scores import Interval, Metric, Unit
from ..units import plural
from .record import Record

__all__ = ["BlockAlone", "BlocksInFloat", "KeptPoint"]


@final
@dataclass(frozen=True)
class BlockAlone(Record):
    """A block when it alone is in eight bits: its path in the plan, what it is, the deviation of what the network puts out
    (`exporting.sensitivity`), and how much of the score is lost."""

    path: str
    what: str
    deviation: float
    lost: float


@final
@dataclass(frozen=True)
class KeptPoint(Record):
    """The file in which the `kept` worst blocks stay in float: its score, what that has lost, and milliseconds of one image where
    it was timed."""

    kept: int
    score: float
    lost: float
    ms: float | None = None


@final
@dataclass(frozen=True)
class BlocksInFloat(Record):
    """Which blocks of a file in eight bits stay in float, and why.

    `blocks` are in order of execution, `curve` begins with none kept, `kept` are paths, the worst first. These rest on
    `chosen_on` validation images. What was found of the file is of the `quoted_on` others: `score`, `float_score`, and `lost`
    with its interval where there is one. Scores and losses are in the unit of the metric.
    """

    file: str
    calibration: str
    chosen_on: int
    float_chosen: Metric
    blocks: tuple[BlockAlone, ...]
    curve: tuple[KeptPoint, ...]
    kept: tuple[str, ...]
    quoted_on: int
    score: Metric
    float_score: Metric
    lost: float
    lost_interval: Interval | None
    ms: float
    float_ms: float
    max_drop: float | None = None
    machine: str = ""

    @property
    def summary(self) -> tuple[str, ...]:
        """What stays in float, and what is lost of images that did not choose it: lines for a person."""
        ends = (
            "" if self.lost_interval is None else " [{:.2f}, {:.2f}]".format(*(100 * end for end in self.lost_interval))
        )
        lost = f"{100 * self.lost:.2f} points{ends}" if self.score.unit is Unit.SHARE else f"{self.lost:.4g}"
        named = f": {', '.join(self.kept)}" if self.kept else ""
        return (
            f"lost      {lost}, of images that chose nothing; {plural(self.chosen_on, 'other')} chose",
            f"in float  {len(self.kept)} of {plural(len(self.blocks), 'block')}{named}",
        )

    @property
    def over(self) -> str:
        """That more is lost than was asked for on images that chose nothing; empty where it is not."""
        if self.max_drop is None or round(100 * self.lost, 9) <= self.max_drop:
            return ""
        return (
            f"{100 * self.lost:.2f} points are lost on {self.quoted_on:,} images that chose nothing, more than the "
            f"{self.max_drop:g} that hold on the {self.chosen_on:,} that chose"
        )
