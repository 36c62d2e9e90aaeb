"""A CSV file that says which part each frame is of: Horse-10's, with a column for each part."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from ....errors import DataError, UserError
from ....firstbytes import read_text
from ....units import plural
from ..parts import PARTS, Part, Parts

__all__ = ["Listed", "in_listed_parts", "read_list"]

# What the columns may be called, in lower case: Horse-10's names, and our own.
_COLUMNS = {
    "train": ("trainindices", "train"),
    "val": ("testindices_withindomain", "within", "val", "valid", "validation"),
    "test": ("testindices_acrossdomain", "across", "ood", "out-of-domain", "test"),
}
_SAID = {"val": "within the domain", "test": "out of the domain"}


@dataclass(frozen=True)
class Listed:
    """The frames of each part, by the folder of their video and their name."""

    path: Path
    frames: Mapping[str, tuple[str, ...]]


def read_list(path: Path) -> Listed:
    """The columns of a list. They are padded with empty cells to the longest, and in no order that matters.

    Raises:
        DataError: no column of training frames, none to validate on, or a frame that stands there twice.
    """
    try:
        rows = list(csv.reader(io.StringIO(read_text(path), newline="")))
    except UserError as error:
        raise DataError(str(error)) from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV file: {error}") from error
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    columns = {part: header.index(name) for part in PARTS for name in _COLUMNS[part] if name in header}
    if "train" not in columns or len(columns) < 2:
        raise DataError(
            f"{path} must have a column of frames for each part, trainIndices, testIndices_withinDomain and "
            f"testIndices_acrossDomain, or train, val and test; its first line is '{', '.join(rows[0] if rows else [])}'"
        )
    seen: dict[str, str] = {}
    frames: dict[str, tuple[str, ...]] = {}
    for part, k in columns.items():
        own = [_key(row[k]) for row in rows[1:] if k < len(row) and row[k].strip()]
        for frame in own:
            if frame in seen:
                raise DataError(f"{path} has the frame {frame} in {part} and in {seen[frame]}")
            seen[frame] = part
        frames[part] = tuple(own)
    return Listed(path, frames)


def in_listed_parts(whole: Callable[[], Part], found: Listed, where: str) -> Parts:
    """The parts of some data that a list says, joined by the frames' paths, never by their position.

    Frames of the data that the list does not name are left out, and that is told. Raises DataError where it names frames
    that the data has not.
    """

    @cache
    def known() -> tuple[Part, dict[str, int], tuple[str, ...]]:
        part = whole()
        place = {_key(part.split.inputs.where(i) or ""): i for i in range(len(part.split))}
        lost = {_key(one.path) for one in part.skipped}
        named = {frame for own in found.frames.values() for frame in own}
        strange = [frame for own in found.frames.values() for frame in own if frame not in place and frame not in lost]
        if strange:
            raise DataError(
                f"{found.path} names {plural(len(strange), 'frame')} that {where} has no labels of, {strange[0]} first"
            )
        beyond = [frame for frame in place if frame not in named]
        said = (
            (
                f"left out, since {found.path.name} does not name them: {plural(len(beyond), 'frame')}, {beyond[0]} first",
            )
            if beyond
            else ()
        )
        return part, place, said

    def one(name: str) -> Part:
        part, place, said = known()
        frames = found.frames[name]
        split = part.split.take(np.array([place[frame] for frame in frames if frame in place], np.int64))
        mine = set(frames)
        skipped = tuple(lost for lost in part.skipped if _key(lost.path) in mine)
        which = f", {_SAID[name]}" if name in _SAID else ""
        notes = (*part.notes, *said) if name == "train" else ()
        return Part(split, part.classes, f"the part {name} of {found.path.name}{which}", skipped, notes)

    return {name: partial(one, name) for name in PARTS if found.frames.get(name)}


def _key(path: str) -> str:
    """A frame by its video's folder and its name."""
    return "/".join(path.strip().replace("\\", "/").split("/")[-2:])
