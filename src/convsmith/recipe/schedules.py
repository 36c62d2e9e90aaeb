"""Learning-rate schedules as frozen values: the share of the peak rate that each step runs at.

A schedule speaks of what follows the warm-up; the warm-up itself, linear over `Recipe.warmup` epochs, is the same for all
(`training.schedule.rate_at`).
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import ClassVar, final

from ..ranges import above, at_least, check_numbers
from ..tagged import Tagged

__all__ = ["SCHEDULES", "Constant", "Cosine", "Exponential", "Linear", "Schedule", "Steps"]


@dataclass(frozen=True)
class Schedule(Tagged):
    """How the learning rate goes on after the warm-up."""

    def __post_init__(self) -> None:
        check_numbers(self, "schedule")

    @abc.abstractmethod
    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        """The share of the peak rate at `step`, counted from 0 and not below `warmup`, of a run of `steps` steps."""


@final
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from 1 at the end of the warm-up to `end` at the step after the last (Loshchilov & Hutter, 2017):

    end + (1 - end) (1 + cos(pi p)) / 2,   p = (step - warmup) / (steps - warmup)
    """

    kind: ClassVar[str] = "cosine"
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("schedule.end", self.end, 0, 1)

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        falling = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
        return self.end + (1 - self.end) * falling if self.end else falling


@final
@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line from 1 at the end of the warm-up to `end` at the step after the last."""

    kind: ClassVar[str] = "linear"
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("schedule.end", self.end, 0, 1)

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        return 1 - (1 - self.end) * (step - warmup) / max(1, steps - warmup)


@final
@dataclass(frozen=True)
class Exponential(Schedule):
    """`factor` to the power of epochs / `every`, never below `floor`.

    `staircase` takes whole powers only: EfficientNet's rate falls to 0.97 of itself every 2.4 epochs. `after_warmup`
    counts epochs from the end of the warm-up (BigNAS's sheet); without it they count from step 0, the warm-up hides the
    first of them, and the rate steps down where it ends (EfficientNet: to 0.97^2 after 5 epochs). `floor` is BigNAS's
    constant ending, 5 % of the peak.

    The epochs are epochs, however long the run is: in a run much shorter than the paper's the rate hardly falls.
    """

    kind: ClassVar[str] = "exponential"
    factor: float = 0.97
    every: float = 2.4
    staircase: bool = True
    floor: float = 0.0
    after_warmup: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("schedule.floor", self.floor, 0, 1)
        above("schedule.factor", self.factor, 0, 1)
        at_least("schedule.every", self.every, 0.001)

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        falls = (step - (warmup if self.after_warmup else 0)) / (per_epoch * self.every)
        if self.staircase:
            falls = math.floor(falls + 1e-9)  # a product of floats may end a hair below the step it means
        return max(self.floor, math.pow(self.factor, falls))


@final
@dataclass(frozen=True)
class Steps(Schedule):
    """Multiplied by `factor` at each of the shares `at` of the run, counted from step 0.

    The default is that of the released ResNet trainer: a tenth at 1/3, 2/3 and 8/9 (epochs 30, 60 and 80 of 90).
    """

    kind: ClassVar[str] = "steps"
    at: tuple[float, ...] = (1 / 3, 2 / 3, 8 / 9)
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if list(self.at) != sorted(self.at) or not all(0 < share < 1 for share in self.at):
            raise ValueError(f"schedule.at must rise between 0 and 1; got {self.at}")
        above("schedule.factor", self.factor, 0, 1)

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        passed = sum(step >= share * steps - 1e-9 for share in self.at)
        return math.pow(self.factor, passed)


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """The peak rate to the end."""

    kind: ClassVar[str] = "constant"

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        return 1.0


SCHEDULES: tuple[type[Schedule], ...] = (Cosine, Linear, Exponential, Steps, Constant)
