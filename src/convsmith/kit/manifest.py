"""What a kit asks to be measured: `manifest.json`, which its `run.py` reads there and we read again here."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ..arch import ArchSpec
from ..errors import UserError
from ..files import write_json
from ..registry import read as read_parts
from ..runs.record import Record, read

__all__ = ["MANIFEST", "Asked", "File", "Manifest"]

MANIFEST, RUN = "manifest.json", "run.py"


@dataclass(frozen=True)
class File(Record):
    """A file of a kit: where it is in the folder, and the digest of what is in it."""

    file: str
    sha256: str

    @classmethod
    def of(cls, path: Path, folder: Path) -> File:
        return cls(path.relative_to(folder).as_posix(), _digest(path))


def _digest(path: Path) -> str:
    with path.open("rb") as found:
        return hashlib.file_digest(found, "sha256").hexdigest()


@dataclass(frozen=True)
class Asked(Record):
    """A network to be timed: its file for each batch, and the shape of one input.

    `spec` is what it was made from, None of a network of another package. `filters` name the convolutions of its file, see
    `speed.profiles`, where these are to be looked into. `limit` is the milliseconds of an image that it has to meet in the first
    of the kit's settings, and `expected` what was estimated for each, where it is sent out to be confirmed.
    """

    id: str
    name: str
    files: Mapping[str, File]
    input: tuple[int, ...]
    spec: Mapping[str, Any] | None = None
    filters: Mapping[str, tuple[tuple[int, ...], int]] = field(default_factory=dict)
    limit: float | None = None
    expected: tuple[float | None, ...] = ()

    def arch(self) -> ArchSpec:
        """The spec as a value."""
        return read_parts(ArchSpec, json.dumps(self.spec), source=self.name)


@dataclass(frozen=True)
class Manifest(Record):
    """A kit: networks, of which the references are in every group, each to be timed in so many rounds with each of the settings
    (threads, batch), until a group has taken `seconds`. Where it `calibrates` the runtime is asked what each convolution took, if
    it knows. `device` is the calibrated device that its networks were estimated for.
    """

    runtime: str
    settings: tuple[tuple[int, int], ...]
    rounds: int
    seconds: float
    group: int
    calibrates: bool
    references: tuple[str, ...]
    networks: tuple[Asked, ...]
    convsmith: str
    device: str | None = None

    def write(self, folder: Path) -> Path:
        """Write `manifest.json` and `run.py` beside the networks; the path of the second."""
        write_json(folder / MANIFEST, self.to_record())
        with resources.as_file(resources.files(__package__) / RUN) as script:
            return Path(shutil.copyfile(script, folder / RUN))

    @staticmethod
    def of(folder: Path) -> tuple[Manifest, str]:
        """The manifest in a kit's folder, and what the kit is known by: the digest of its text.

        Raises:
            UserError: there is none, or it is damaged.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise UserError(
                f"{folder} is no kit, it has no {MANIFEST}: put a result back into the folder that `convsmith kit` made"
            )
        try:
            return read(path, Manifest), _digest(path)
        except ValueError as error:
            raise UserError(f"{path} is damaged ({error}): write the kit again, and time it again") from None

    def network(self, id: str) -> Asked:
        return next(one for one in self.networks if one.id == id)

    def groups(self) -> Sequence[Sequence[str]]:
        """The networks of each group, without the references: as `run.py` divides them."""
        others = [one.id for one in self.networks if one.id not in self.references]
        return [others[at : at + self.group] for at in range(0, len(others), self.group)] or [[]]
