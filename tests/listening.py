"""A watcher that remembers, and interrupts where it is told to."""

from __future__ import annotations

from convsmith.watcher import Record, StepDone, Watcher

__all__ = ["Listening"]


class Listening(Watcher):
    """Remembers what it was told, and stops everything after a step or before a stage."""

    def __init__(self, *, until_step: int = -1, until_stage: str = "") -> None:
        self.notes: list[str] = []
        self.counts: list[tuple[int, int]] = []
        self.until_step, self.until_stage = until_step, until_stage

    def note(self, text: str) -> None:
        self.notes.append(text)

    def count(self, what: str, done: int, total: int) -> None:
        if what == "decoding into the cache":
            self.counts.append((done, total))

    def stage(self, title: str, detail: str = "") -> None:
        if title == self.until_stage:
            raise KeyboardInterrupt

    def record(self, record: Record) -> None:
        if isinstance(record, StepDone) and record.step == self.until_step:
            raise KeyboardInterrupt

    @property
    def built(self) -> bool:
        return bool(self.counts)
