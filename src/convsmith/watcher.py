"""What long work tells whoever watches it: records of training, and a watcher that is told them. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["EpochDone", "Looked", "Record", "RolledBack", "Started", "StepDone", "Watched", "Watcher"]


@dataclass(frozen=True)
class Started:
    """The first record: training begins after `step` steps that were done before. `damage` says what could not be read."""

    step: int
    steps: int
    damage: str = ""


@dataclass(frozen=True)
class StepDone:
    """One optimisation step. `loss` is NaN where it was not read off the device."""

    step: int
    steps: int
    epoch: int
    loss: float
    rate: float
    images: int


@dataclass(frozen=True)
class EpochDone:
    """One pass over the training images, and what the evaluation said of the model that would be shipped.

    `train_score` is the task's running score of the training images, as they were augmented: a classifier's share of right
    answers. `scores` are named as `metrics.jsonl` names them, `val_top1` and the like, the headline first. `terms` are what the
    training loss is the sum of, where a task tells it apart.
    """

    epoch: int
    step: int
    train_loss: float
    train_score: float
    rate: float
    images_per_s: float
    seconds: float
    scores: dict[str, float]
    terms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Watched:
    """The smallest and the biggest child's loss on the fixed batch, and the share of the scheduled rate they were got at."""

    step: int
    smallest: float
    biggest: float
    share: float


@dataclass(frozen=True)
class Looked:
    """What a look at two adversaries saw, by name, and the share of the scheduled rate that it was got at."""

    step: int
    share: float
    values: dict[str, float]


@dataclass(frozen=True)
class RolledBack:
    """Training collapsed by `step` and goes on from step `to`, at `share` of the scheduled rate."""

    step: int
    to: int
    share: float
    reason: str


Record = Started | StepDone | EpochDone | Watched | Looked | RolledBack


class Watcher:
    """Told what a job is doing; this one keeps silent. The command line has one that draws; a logger is another."""

    def stage(self, title: str, detail: str = "") -> None:
        """A stage begins."""

    def record(self, record: Record) -> None:
        """Training has begun, or a step or an epoch of it is done."""

    def count(self, what: str, done: int, total: int) -> None:
        """`done` of `total` are done."""

    def note(self, text: str) -> None:
        """Something the user should know."""
