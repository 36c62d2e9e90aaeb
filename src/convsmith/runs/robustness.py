"""`robustness.json`: what is left of a run's score when its pictures are corrupted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

from ..corruptions import CORRUPTIONS, GROUPS
from ..scores import Interval, Metric, Mistake, Pose, Poses, Unit
from .record import Record

__all__ = ["Cell", "Mean", "Robustness", "Worst", "WorstPose"]


@final
@dataclass(frozen=True)
class Cell(Record):
    """The score under one corruption at one severity."""

    corruption: str
    severity: int
    score: float
    interval: Interval | None = None


@final
@dataclass(frozen=True)
class Mean(Record):
    """The mean score over the cells of a group of corruptions, or over all (`over` is "all"). The interval is a bootstrap's
    over the pictures, each of which stands in every cell."""

    over: str
    score: float
    interval: Interval | None = None


@final
@dataclass(frozen=True)
class Worst(Record):
    """The surest mistake that a corruption led to, of `clean` pictures that are right."""

    corruption: str
    severity: int
    mistake: Mistake


@final
@dataclass(frozen=True)
class WorstPose(Record):
    """The picture in which the points were farthest off under a corruption, of those that are no worse than most when clean."""

    corruption: str
    severity: int
    pose: Pose


@final
@dataclass(frozen=True, kw_only=True)
class Robustness(Record):
    """What corruptions leave of the score of `n` pictures of `data`.

    `own`: they are the run's own validation images. `clean` is the headline without corruption. `adapted`: norms took their
    statistics from the corrupted pictures. `pictures` are sixteen digits that two runs share which were shown the same.
    `individuals` is how many of them the intervals are a bootstrap over, 0 where it is over the pictures. Of points, `poses` are
    the worst pictures and `bones` the lines between their `classes`.
    """

    data: str
    n: int
    pictures: str
    clean: Metric
    cells: tuple[Cell, ...]
    means: tuple[Mean, ...]
    worst: tuple[Worst, ...] = ()
    classes: tuple[str, ...] = ()
    seed: int = 0
    adapted: bool = False
    own: bool = False
    individuals: int = 0
    poses: tuple[WorstPose, ...] = ()
    bones: tuple[tuple[int, int], ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def left_out(self) -> Iterable[str]:
        return [name for name in ("individuals", "poses", "bones") if not vars(self)[name]]

    @property
    def posed(self) -> Poses:
        """The worst pictures as an evaluation has them, in the order of `poses`."""
        unit = "px" if self.clean.unit is Unit.PIXELS else ""
        return Poses(self.classes, self.bones, tuple(one.pose for one in self.poses), unit)

    @property
    def names(self) -> tuple[str, ...]:
        """The corruptions that were tried, in ImageNet-C's order."""
        tried = {cell.corruption for cell in self.cells}
        return tuple(known.name for known in CORRUPTIONS if known.name in tried)

    @property
    def severities(self) -> tuple[int, ...]:
        return tuple(sorted({cell.severity for cell in self.cells}))

    @property
    def whole(self) -> bool:
        """Whether all fifteen were tried at all five severities: means of fewer are not compared with others'."""
        return len(self.cells) == 5 * len(CORRUPTIONS)

    def cell(self, name: str, severity: int) -> Metric:
        """The score of one cell. Raises KeyError where it was not tried."""
        for cell in self.cells:
            if (cell.corruption, cell.severity) == (name, severity):
                return replace(self.clean, value=cell.score, interval=cell.interval)
        raise KeyError(f"{name} at severity {severity} was not tried")

    def mean(self, over: str = "all") -> Metric:
        """The mean of a group, or of all. Raises KeyError where nothing of it was tried."""
        for one in self.means:
            if one.over == over:
                return replace(self.clean, value=one.score, interval=one.interval)
        raise KeyError(f"nothing of {over} was tried")

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of which something was tried."""
        return tuple(group for group in GROUPS if any(one.over == group for one in self.means))
