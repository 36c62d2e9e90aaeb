"""A run folder: everything a run was given and has produced, in files that are complete or absent."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from ..arch import ArchSpec, OwnPart
from ..codec import from_data, kinds_in, to_json
from ..errors import Stopped, UserError
from ..files import append_line, write_json, write_text
from ..firstbytes import read_text
from ..recipe import KINDS, Recipe
from ..scores import Scores
from .kinds import Kind, kind_of, no_run
from .lines import Epoch, Line, epochs_of, line
from .notes import Known, Rule, notes_on
from .ood import Domains
from .record import Readable, loaded, read
from .records import Config, CrossValidated, Data, Export, Int8, Latency, OwnParts
from .robustness import Robustness
from .search_records import Foil, Foils, Front

__all__ = ["RunFolder", "now"]

T = TypeVar("T")
R = TypeVar("R", bound=Readable)

# What Windows takes for a device, with whatever suffix.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


class RunFolder:
    """The folder `runs/NAME`; docs/run-folder.md lists its files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @classmethod
    def create(cls, parent: Path, name: str) -> Self:
        """A new folder `parent/name`, or `name-2`, `name-3`, ... where that is taken: no run overwrites another."""
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-").rstrip(".-") or "run"
        if _DEVICE.match(safe):
            safe = f"run-{safe}"
        for number in range(1, 10_000):
            path = parent / (safe if number == 1 else f"{safe}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise UserError(f"cannot make the run folder {path}: {error}") from error
            return cls(path)
        raise UserError(f"{parent} already holds 10,000 runs named {safe}")

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """An existing run folder, known by its config.json.

        Raises:
            UserError: it is none, with what it is instead.
        """
        try:
            folder = Path(path)
        except TypeError:
            raise UserError(f"a run folder is needed here; got a live {type(path).__name__}, which has none") from None
        if not (folder / "config.json").is_file():
            raise UserError(no_run(path))
        if "verb" not in cls(folder).read("config.json"):
            raise UserError(no_run(path))
        return cls(folder)

    @property
    def kind(self) -> Kind:
        """What made it: a training, a search, or a search as one of its children."""
        return kind_of(self.path) or Kind.TRAINING

    @property
    def trained(self) -> bool:
        """Whether there are weights to ship. Of a search, which is no one network, never."""
        return self.has("model.safetensors") and self.kind is not Kind.SEARCH

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Who stops what is done inside, by SIGTERM or Ctrl-C, is told the command that goes on with this run."""
        resume = f"`{shlex.join(['convsmith', 'resume', str(self.path)])}` goes on"
        try:
            yield
        except Stopped as stopped:
            raise Stopped(f"{stopped}; {resume}") from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"interrupted; what was earned is kept, and {resume}") from None

    # ---- the files -----------------------------------------------------------------------------------------------

    def file(self, name: str) -> Path:
        return self.path / name

    def has(self, name: str) -> bool:
        return self.file(name).is_file()

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file of the run."""
        return self._found(name, loaded)

    def write(self, name: str, data: Mapping[str, Any]) -> None:
        """Write a JSON file of the run, whole or not at all."""
        write_json(self.file(name), data)

    def _found(self, name: str, reader: Callable[[Path], T]) -> T:
        """What `reader` makes of a file. Raises UserError where it is not there or damaged."""
        try:
            return reader(self.file(name))
        except FileNotFoundError:
            raise UserError(f"{self.path} has no {name} yet") from None
        except ValueError as error:
            raise UserError(f"{self.file(name)} is damaged: {error}") from None

    def _record(self, name: str, kind: type[R]) -> R:
        return self._found(name, lambda path: read(path, kind))

    # ---- what it was given ---------------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        return self._record("config.json", Config)

    @property
    def seed(self) -> int:
        """The seed of all its randomness. Raises UserError where config.json has none, as no version writes it."""
        if (seed := self.config.seed) is None:
            raise UserError(f"{self.file('config.json')} is damaged: seed: it is missing")
        return seed

    @property
    def recipe(self) -> Recipe:
        """How it is trained, its numbers settled."""
        return from_data(Recipe, dict(self.config.recipe), KINDS, source=str(self.file("config.json")))

    @property
    def data(self) -> Data:
        return self._record("data.json", Data)

    @property
    def spec(self) -> ArchSpec:
        return self.of_parts(ArchSpec, "spec.json")

    def of_parts(self, kind: type[T], name: str) -> T:
        """A JSON file that speaks of parts, as a value. A part of the user's own has to be known, and what it was."""
        from ..registry import (
            read as read_parts,
        )  # here, because parts are built of torch, which reading a report needs not

        try:
            text = read_text(self.file(name))
        except FileNotFoundError:
            raise UserError(f"{self.path} has no {name}") from None
        return read_parts(kind, text, source=str(self.file(name)), made_of=self._own_parts)

    def write_config(self, config: Config) -> None:
        self.write("config.json", config.to_record())

    def write_data(self, data: Data) -> None:
        self.write("data.json", data.to_record())

    def write_spec(self, spec: ArchSpec) -> None:
        text = to_json(spec)
        write_text(self.file("spec.json"), text)
        self._write_parts(kinds_in(text))

    def renew_parts(self) -> None:
        """Take the parts of the user's own as they are now for those that the run was begun with; of a search's children too."""
        for folder in (
            self,
            *(
                RunFolder(path.parent)
                for where in ("children", "finished")
                for path in self.file(where).glob("*/parts.json")
            ),
        ):
            folder._write_parts(one.kind for one in folder._own_parts)

    @property
    def _own_parts(self) -> tuple[OwnPart, ...]:
        return self._record("parts.json", OwnParts).parts if self.has("parts.json") else ()

    def _write_parts(self, kinds: Iterable[str]) -> None:
        from ..registry import origins  # here, as in `of_parts`

        if own := origins(kinds):
            self.write("parts.json", OwnParts(own).to_record())

    # ---- what it produced ----------------------------------------------------------------------------------------

    @property
    def scores(self) -> Scores:
        return self._record("scores.json", Scores)

    @property
    def latency(self) -> Latency:
        return self._record("latency.json", Latency)

    @property
    def exported(self) -> Export:
        return self._record("export.json", Export)

    @property
    def int8(self) -> Int8:
        return self._record("export_int8.json", Int8)

    @property
    def robustness(self) -> Robustness:
        return self._record("robustness.json", Robustness)

    @property
    def domains(self) -> Domains:
        """Its score within its domain beside that out of it."""
        return self._record("ood.json", Domains)

    def write_scores(self, scores: Scores) -> None:
        self.write("scores.json", scores.to_record())

    def write_latency(self, latency: Latency) -> None:
        self.write("latency.json", latency.to_record())

    def write_export(self, export: Export) -> None:
        self.write("export.json", export.to_record())

    def notes(self, rules: Sequence[Rule] | None = None) -> tuple[str, ...]:
        """What is worth knowing of it beside its numbers (`notes_on`), as far as it has come."""
        scores = self.scores if self.has("scores.json") else None
        return notes_on(Known.of(self.config, self.data, self.epochs, scores), rules)

    # ---- what a search found -------------------------------------------------------------------------------------

    @property
    def front(self) -> Front:
        return self._record("front.json", Front)

    @property
    def foils(self) -> tuple[Foil, ...]:
        """The networks that the winners are held against; none where the search was asked for none."""
        return self._record("foils.json", Foils).rows if self.has("foils.json") else ()

    def child(self, budget: str) -> RunFolder:
        """The run folder of a budget's winner, be it there or not: `5ms+1M-params` lies in `5ms-1M-params`, and in folders of
        version 0.1 under its own name."""
        old = self.file("children") / budget
        return RunFolder(old if old.is_dir() else old.with_name(budget.replace("+", "-")))

    def finished(self, budget: str) -> RunFolder:
        """The run folder of a budget's winner as it was trained on, be it there or not."""
        return RunFolder(self.file("finished") / self.child(budget).path.name)

    def fold(self, at: int) -> RunFolder:
        """The run folder of a cross-validation's fold `at`, counted from 0, be it there or not."""
        return RunFolder(self.file(f"fold-{at + 1}"))

    @property
    def crossed(self) -> CrossValidated:
        """What a cross-validation's folds scored together."""
        return self._record("folds.json", CrossValidated)

    def write_front(self, front: Front) -> None:
        self.write("front.json", front.to_record())

    def write_foils(self, foils: Sequence[Foil]) -> None:
        self.write("foils.json", Foils(tuple(foils)).to_record())

    # ---- metrics -------------------------------------------------------------------------------------------------

    def log(self, line: Line) -> None:
        """Append one line to metrics.jsonl."""
        append_line(self.file("metrics.jsonl"), json.dumps(line.to_record()))

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl that are whole; a killed process may have left half a line at the end."""
        if not self.has("metrics.jsonl"):
            return
        for text in self.file("metrics.jsonl").read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(text)
            except ValueError:
                continue

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of metrics.jsonl that can be read and say something that is known, in order."""
        found = []
        for record in self.metrics():
            with contextlib.suppress(ValueError):
                found.append(line(record))
        return tuple(one for one in found if one is not None)

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        return epochs_of(self.lines)

    def rewind(self, step: int) -> None:
        """Forget metrics logged after `step`: training goes on from there and will log them again."""
        kept = [record for record in self.metrics() if record.get("step", 0) <= step]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_text(self.file("metrics.jsonl"), text)


def now() -> str:
    """This moment as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
