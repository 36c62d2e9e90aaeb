"""The lines of `metrics.jsonl`: an event each, in the order in which they happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, final

from ..codec import to_data
from ..watcher import EpochDone
from .record import Record, parsed

__all__ = ["Epoch", "Fall", "Line", "Look", "PairLook", "epochs_of", "line"]


@final
@dataclass(frozen=True)
class Epoch(Record):
    """An epoch. `values` are all its other numbers by their names: `train_loss`, `val_top1`, ..."""

    epoch: int
    step: int = 0
    rate: float | None = None
    images_per_s: float | None = None
    seconds: float | None = None
    values: Mapping[str, float | None] = field(default_factory=dict)

    @classmethod
    def of(cls, done: EpochDone, running: str) -> Epoch:
        """The line of a record; `running` is the task's name for the score of the training images."""
        own = {name: item for name, item in vars(done).items() if name not in ("scores", "train_score", "terms")}
        terms = {f"train_loss_{name}": value for name, value in done.terms.items()}
        return cls.from_record(own | {f"train_{running}": done.train_score} | terms | done.scores)

    @classmethod
    def from_record(cls, data: Mapping[str, Any]) -> Self:
        own = {one.name for one in fields(cls)} - {"values"}
        values = {
            key: item
            for key, item in data.items()
            if key not in own and (key.startswith(("train_", "val_")) or isinstance(item, float | int))
        }
        return parsed(cls, {key: data[key] for key in own if key in data} | {"values": values})

    def to_record(self) -> dict[str, Any]:
        own = super().to_record()
        del own["values"]
        return {"event": "epoch"} | own | dict(self.values)


@final
@dataclass(frozen=True)
class Look(Record):
    """A look at a supernet: the smallest and the biggest child's loss, and the share of the rate they were got at."""

    step: int
    smallest: float
    biggest: float
    share: float

    def to_record(self) -> dict[str, Any]:
        own: dict[str, Any] = to_data(self)
        return {"event": "look"} | own


@final
@dataclass(frozen=True)
class PairLook(Record):
    """A look at a generator and its critic: what was seen, by name, and the share of the rate it was got at."""

    step: int
    share: float
    values: Mapping[str, float]

    def to_record(self) -> dict[str, Any]:
        own: dict[str, Any] = to_data(self)
        return {"event": "look at two"} | own


@final
@dataclass(frozen=True)
class Fall(Record):
    """A training collapsed by `step` and went on from step `to`, at `share` of the rate."""

    step: int
    to: int
    share: float
    reason: str

    def to_record(self) -> dict[str, Any]:
        own: dict[str, Any] = to_data(self)
        return {"event": "rolled back"} | own


Line = Epoch | Look | PairLook | Fall
_LINES: dict[str, type[Line]] = {"epoch": Epoch, "look": Look, "look at two": PairLook, "rolled back": Fall}


def line(data: object) -> Line | None:
    """A line of `metrics.jsonl`, None for an event that is not known. Raises ValueError for what is no such line."""
    if not isinstance(data, dict) or not isinstance(event := data.get("event"), str):
        raise ValueError("it says no event")
    return _LINES[event].from_record(data) if event in _LINES else None


def epochs_of(lines: Iterable[Line | None]) -> tuple[Epoch, ...]:
    """The epochs in order; where a resumed run wrote one twice, the later line counts."""
    found = {one.epoch: one for one in lines if isinstance(one, Epoch)}
    return tuple(found[number] for number in sorted(found))
