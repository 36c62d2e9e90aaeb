"""A run folder: everything a run was given and earned, in files that are whole or not there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..arch import ArchSpec
from ..codec import from_json, to_json
from ..errors import UserError
from ..files import write_json, write_text
from ..parts import PARTS
from .kinds import Kind, kind_of, no_run

__all__ = ["Run", "now"]


class Run:
    """The folder `runs/NAME`; docs/run-folder.md lists its files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(cls, parent: Path, name: str) -> Run:
        """A new folder `parent/name`, or `name-2`, `name-3`, ... where that is taken: no run overwrites another."""
        safe = re.sub(r"[^A-Za-z0-9._@=+-]+", "-", name).strip("-") or "run"
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
    def open(cls, path: Path | str) -> Run:
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

    # ---- the files -----------------------------------------------------------------------------------------------

    def file(self, name: str) -> Path:
        return self.path / name

    def has(self, name: str) -> bool:
        return self.file(name).is_file()

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file of the run."""
        try:
            data: dict[str, Any] = json.loads(self.file(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{self.path} has no {name} yet") from None
        except ValueError as error:
            raise UserError(f"{self.file(name)} is damaged: {error}") from None
        if not isinstance(data, dict):
            raise UserError(f"{self.file(name)} is damaged: it holds no JSON object")
        return data

    def write(self, name: str, data: dict[str, Any]) -> None:
        """Write a JSON file of the run, whole or not at all."""
        write_json(self.file(name), data)

    @property
    def spec(self) -> ArchSpec:
        try:
            text = self.file("spec.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"{self.path} has no spec.json") from None
        return from_json(ArchSpec, text, PARTS, source=str(self.file("spec.json")))

    def write_spec(self, spec: ArchSpec) -> None:
        write_text(self.file("spec.json"), to_json(spec))

    # ---- metrics -------------------------------------------------------------------------------------------------

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        path = self.file("metrics.jsonl")
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error}; checkpoints are whole, and `resume` goes on") from error

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl that are whole; a killed process may have left half a line at the end."""
        if not self.has("metrics.jsonl"):
            return
        for line in self.file("metrics.jsonl").read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def rewind(self, step: int) -> None:
        """Forget metrics logged after `step`: training goes on from there and will log them again."""
        kept = [record for record in self.metrics() if record.get("step", 0) <= step]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_text(self.file("metrics.jsonl"), text)


def now() -> str:
    """This moment as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
