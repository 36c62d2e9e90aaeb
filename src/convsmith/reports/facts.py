"""What a run folder says, read with patience: a run may have been killed at any moment.

Every file is optional, and read as jobs read it (`convsmith.runs`). One that cannot be read, or a line of `metrics.jsonl`
that was half written, becomes a sentence in `RunFacts.problems`, and the rest of the report stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import UserError
from ..runs import (
    Config,
    Data,
    Epoch,
    Export,
    Int8,
    Known,
    Latency,
    Line,
    PairLook,
    Readable,
    Record,
    Samples,
    epochs_of,
    line,
    notes_on,
    read,
    stopped_early,
)
from ..scores import Metric, Scores, headline_among

__all__ = ["Input", "RunFacts", "Spec"]

R = TypeVar("R", bound=Readable)


@dataclass(frozen=True)
class Input(Record):
    """What goes in, as `spec.json` says; without `width` it is a square."""

    resolution: int
    channels: int = 3
    width: int | None = None
    frames: int = 0

    @property
    def dims(self) -> tuple[int, ...]:
        """Channels and sides, of clips the frames between them."""
        return self.channels, *((self.frames,) if self.frames else ()), self.resolution, self.width or self.resolution


@dataclass(frozen=True)
class Spec(Record):
    """Of `spec.json` only what the report speaks of."""

    name: str
    input: Input


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
    int8: Int8 | None = None
    samples: Samples | None = None
    looks: tuple[PairLook, ...] = ()

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
        lines = _read_lines(run / "metrics.jsonl", problems)
        return cls(
            folder=run.resolve().name if name is None else name,
            spec=_read(run / "spec.json", Spec, problems),
            config=_read(run / "config.json", Config, problems),
            data=_read(run / "data.json", Data, problems),
            epochs=epochs_of(lines),
            scores=_read(run / "scores.json", Scores, problems),
            latency=_read(run / "latency.json", Latency, problems),
            export=_read(run / "export.json", Export, problems),
            int8=_read(run / "export_int8.json", Int8, problems),
            samples=_read(run / "samples.json", Samples, problems),
            looks=tuple(one for one in lines if isinstance(one, PairLook)),
            problems=tuple(problems),
        )

    @property
    def epochs_planned(self) -> int | None:
        """The recipe's number of epochs, where it says one."""
        planned = self.config.recipe.get("epochs") if self.config else None
        return planned if isinstance(planned, int) else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing of it beside its numbers."""
        if self.config is None or self.data is None:
            return ()
        return notes_on(Known.of(self.config, self.data, self.epochs, self.scores))

    @property
    def stopped_early(self) -> bool:
        return self.config is not None and stopped_early(self.epochs, self.config.recipe)

    @property
    def judged_on(self) -> str | None:
        """By what the data is known that its score is of; runs of different data cannot be compared."""
        return (self.data.contents or self.data.fingerprint or self.data.name) if self.data else None

    @property
    def macs(self) -> int | None:
        return self.config.cost.macs if self.config and self.config.cost else None

    @property
    def params(self) -> int | None:
        return self.config.cost.params if self.config and self.config.cost else None

    @property
    def headline(self) -> Metric | None:
        """What the run is judged by: its scores' first metric, or before there are any what its epochs were validated by."""
        if self.scores is not None:
            return self.scores.headline
        names = {name: own for epoch in self.epochs for name, own in epoch.values.items() if own is not None}
        return headline_among(names) or headline_among(names, "train_")


def _read(path: Path, kind: type[R], problems: list[str]) -> R | None:
    try:
        return read(path, kind)
    except FileNotFoundError:
        return None
    except ValueError as error:
        problems.append(f"{path.name} was left out: {error}")
    return None


def _read_lines(path: Path, problems: list[str]) -> list[Line | None]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"{path.name} was left out: {error.strerror or 'it could not be read'}")
        return []
    found: list[Line | None] = []
    unreadable = 0
    for text in filter(None, map(bytes.strip, lines)):
        try:
            found.append(line(json.loads(text)))
        except ValueError:
            unreadable += 1
    if unreadable:
        problems.append(f"{path.name}: {unreadable} of {len(lines)} lines left out, because they could not be read")
    return found
