"""What a run folder says, read with patience: a run may have been killed at any moment.

Every file is optional. What is there is checked field by field; a file that cannot be read, or a line of
`metrics.jsonl` that was half written, becomes a sentence in `RunFacts.problems`, and the rest of the report stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from ..errors import UserError
from ..machine import Machine

__all__ = [
    "Config",
    "Data",
    "Epoch",
    "Export",
    "Latency",
    "Limit",
    "Row",
    "RunFacts",
    "Scores",
    "Stage",
    "Wrong",
]

T = TypeVar("T")
Interval = tuple[float, float]


@dataclass(frozen=True)
class Limit:
    """One part of a budget and what the network came to (`is` in the file)."""

    limit: float
    actual: Annotated[float, Field(validation_alias="is")]


@dataclass(frozen=True)
class Cost:
    macs: int
    params: int
    activations: int | None = None


@dataclass(frozen=True)
class Stage:
    name: str
    what: str
    size: int
    depth: int
    width: int
    macs: int
    params: int


@dataclass(frozen=True)
class Config:
    """`config.json`: what was asked for and what was chosen."""

    verb: str = ""
    convsmith: str = ""
    started: str = ""
    command: str | tuple[str, ...] | None = None  # not known where a run was begun from Python
    name: str | None = None
    data: str | None = None
    budget: str | None = None
    base: str | None = None
    rule: str | None = None
    x: float | None = None
    met: dict[str, Limit] | None = None
    cost: Cost | None = None
    stages: tuple[Stage, ...] = ()
    recipe: dict[str, Any] = field(default_factory=dict)
    differences: tuple[str, ...] = ()
    seed: int | None = None
    machine: Machine | None = None


@dataclass(frozen=True)
class Input:
    resolution: int
    channels: int = 3


@dataclass(frozen=True)
class Spec:
    """Of `spec.json` only what the report speaks of."""

    name: str
    input: Input


@dataclass(frozen=True)
class Skipped:
    path: str
    why: str


@dataclass(frozen=True)
class Data:
    """`data.json`: what was trained on, and what could not be read."""

    name: str
    classes: tuple[str, ...]
    train: int
    val: int
    split: str = ""
    per_class: tuple[tuple[int, int], ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True)
class Epoch:
    """A line of `metrics.jsonl` whose event is `epoch`; top-1 between 0 and 1."""

    epoch: int
    train_loss: float | None = None
    train_top1: float | None = None
    val_loss: float | None = None
    val_top1: float | None = None
    rate: float | None = None
    images_per_s: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Wrong:
    """An image that was taken for another class; `image` is a data URI."""

    label: int
    predicted: int
    confidence: float
    image: str = ""
    path: str | None = None
    index: int | None = None


@dataclass(frozen=True)
class Scores:
    """`scores.json`: rows of `confusion` are true classes, columns predictions."""

    top1: float
    n: int
    split: str = "val"
    top1_interval: Interval | None = None
    top5: float | None = None
    top5_interval: Interval | None = None
    loss: float | None = None
    per_class_mean: float | None = None
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    wrong: tuple[Wrong, ...] = ()

    def __post_init__(self) -> None:
        size = len(self.classes)
        if self.confusion and (len(self.confusion) != size or any(len(row) != size for row in self.confusion)):
            raise ValueError(f"the confusion matrix is not {size} x {size}, as its {size} classes ask for")


@dataclass(frozen=True)
class Row:
    """One network's latency: milliseconds per image."""

    name: str
    runtime: str
    threads: int
    batch: int
    median_ms: float
    p10_ms: float
    p90_ms: float
    n: int


@dataclass(frozen=True)
class Latency:
    rows: tuple[Row, ...]
    rounds: int | None = None
    noise: float | None = None
    verdict: tuple[str, ...] = ()
    machine: Machine | None = None


@dataclass(frozen=True)
class Export:
    file: str
    bytes: int
    opset: int | None = None
    batch: str | int | None = None
    folded: int | None = None
    max_abs_difference: float | None = None
    tolerance: float | None = None
    n: int | None = None
    runtime: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """Everything the report knows of one run. A part that is None is not there (yet)."""

    folder: str
    spec: Spec | None
    config: Config | None
    data: Data | None
    epochs: tuple[Epoch, ...]
    scores: Scores | None
    latency: Latency | None
    export: Export | None
    problems: tuple[str, ...]

    @classmethod
    def read(cls, run: Path, *, name: str | None = None) -> RunFacts:
        """The facts of the folder `run`, shown as `name` (the folder's own name unless told).

        Raises UserError where `run` is no folder or holds nothing of a run.
        """
        known = (
            "spec.json",
            "config.json",
            "data.json",
            "metrics.jsonl",
            "scores.json",
            "latency.json",
            "export.json",
        )
        if not run.is_dir():
            raise UserError(f"'{run}' is not a run folder: there is no such folder")
        if not any((run / file).is_file() for file in known):
            raise UserError(f"'{run}' is not a run folder: none of {', '.join(known)} is in it")
        problems: list[str] = []
        return cls(
            folder=run.resolve().name if name is None else name,
            spec=_read(run / "spec.json", Spec, problems),
            config=_read(run / "config.json", Config, problems),
            data=_read(run / "data.json", Data, problems),
            epochs=_read_epochs(run / "metrics.jsonl", problems),
            scores=_read(run / "scores.json", Scores, problems),
            latency=_read(run / "latency.json", Latency, problems),
            export=_read(run / "export.json", Export, problems),
            problems=tuple(problems),
        )

    @property
    def epochs_planned(self) -> int | None:
        """The recipe's number of epochs, where it says one."""
        planned = self.config.recipe.get("epochs") if self.config else None
        return planned if isinstance(planned, int) else None

    @property
    def macs(self) -> int | None:
        return self.config.cost.macs if self.config and self.config.cost else None

    @property
    def params(self) -> int | None:
        return self.config.cost.params if self.config and self.config.cost else None


def _read(path: Path, kind: type[T], problems: list[str]) -> T | None:
    try:
        return TypeAdapter(kind).validate_json(_well_formed(path.read_bytes()))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        problems.append(f"{path.name} was left out: {where + ': ' if where else ''}{first['msg']}")
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} was left out: {_reason(error)}")
    return None


def _read_epochs(path: Path, problems: list[str]) -> tuple[Epoch, ...]:
    """The epochs in order; where a resumed run wrote one twice, the later line counts."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    except OSError as error:
        problems.append(f"{path.name} was left out: {_reason(error)}")
        return ()
    adapter = TypeAdapter(Epoch)
    epochs: dict[int, Epoch] = {}
    unreadable = 0
    for line in filter(None, map(bytes.strip, lines)):
        try:
            event = json.loads(line)
            if event["event"] == "epoch":
                epoch = adapter.validate_python(event)
                epochs[epoch.epoch] = epoch
        except (ValueError, KeyError, TypeError):  # ValidationError is a ValueError
            unreadable += 1
    if unreadable:
        problems.append(f"{path.name}: {unreadable} of {len(lines)} lines left out, because they could not be read")
    return tuple(epochs[number] for number in sorted(epochs))


def _well_formed(raw: bytes) -> bytes:
    """The same JSON in valid UTF-8: a path on disk may hold bytes that are no text, written as lone surrogates."""
    return json.dumps(json.loads(raw), ensure_ascii=False).encode("utf-8", errors="replace")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it could not be read"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return f"it is not JSON ({error})"
