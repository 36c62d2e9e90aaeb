"""What long work tells whoever watches it: records of training, and a watcher that is told them. No torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EpochDone", "Record", "Started", "StepDone", "Watcher"]


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
    """One pass over the training images, and what the evaluation said of the model that would be shipped."""

    epoch: int
    step: int
    train_loss: float
    train_top1: float
    rate: float
    images_per_s: float
    seconds: float
    scores: dict[str, float]


Record = Started | StepDone | EpochDone


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
