"""Learning-rate schedules as frozen values: the share of the peak rate that each step runs at.

A schedule speaks of what follows the warm-up; the warm-up itself, linear over `Recipe.warmup` epochs, is the same for all
(`training.schedule.rate_at`).
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, final

from ..ranges import above, at_least, check_numbers
from ..tagged import LATER, Tagged

__all__ = ["SCHEDULES", "Constant", "Cosine", "Exponential", "Linear", "Schedule", "Stairs", "Steps"]


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

    With a `length` in steps above 0 it takes as many from the end of the warm-up, however long the run is, and stays at `end`.
    """

    kind: ClassVar[str] = "cosine"
    end: float = 0.0
    length: int = field(default=0, metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("schedule.end", self.end, 0, 1)
        at_least("schedule.length", self.length, 0, 10**9)

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        passed = step - warmup
        if self.length:
            passed, steps = min(passed, self.length), warmup + self.length
        falling = 0.5 * (1 + math.cos(math.pi * passed / max(1, steps - warmup)))
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
class Stairs(Schedule):
    """A share of the peak for so many steps, then another: `rows` are (the step, counted from 0, that it holds before; share),
    and the last share goes on. With `of` above 0 these steps are of a run so long, and are stretched to this one's length."""

    kind: ClassVar[str] = "stairs"
    rows: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    of: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = [end for end, _ in self.rows]
        for end in ends:
            at_least("schedule.rows", end, 0, 10**9)
        if not ends or ends[0] <= 0 or any(a >= b for a, b in pairwise(ends)):
            raise ValueError(f"schedule.rows need steps above 0 that rise; got {ends}")
        for _, share in self.rows:
            at_least("schedule.rows", share, 0, 1)
        at_least("schedule.of", self.of, 0, 10**9)

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        stretched = steps / self.of if self.of else 1.0
        return next((share for end, share in self.rows if step < end * stretched - 1e-9), self.rows[-1][1])


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """The peak rate to the end."""

    kind: ClassVar[str] = "constant"

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        return 1.0


SCHEDULES: tuple[type[Schedule], ...] = (Cosine, Linear, Exponential, Steps, Stairs, Constant)
