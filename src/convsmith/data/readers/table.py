"""A CSV file that says which class, or classes, each image file is of."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import DataError, UserError, nearest
from ...firstbytes import read_text
from ..films import is_film
from ..inputs import Files, Films
from ..split import Split
from ..targets import Labels, ManyLabels, Targets
from .clips.groups import groups_of
from .names import worded
from .parts import PARTS, WHOLE, Part, Parts

__all__ = ["names_films", "read_table"]

_FILE = ("file", "path", "image", "filename")
_LABEL = ("label", "class", "labels", "classes")
_SPLIT, _GROUP = "split", "group"
_SYNONYMS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class _Row:
    """An image or a film: the line it stands in, its file, its classes, the part it belongs to, and what it was cut out of, empty
    where that is not told."""

    line: int
    file: str
    classes: tuple[str, ...]
    part: str
    group: str


def read_table(path: Path) -> Parts:
    """The parts that the table's column `split` names, or all of it where it has none.

    The first line names the columns: `file` (or path, image, filename), relative to the table's folder; `label` (or class,
    labels, classes), several joined by `;`, or instead a column for each class with 0 or 1; and, if wanted, `split`, each
    train, val or test. The files may be films; a column `group` then says what each was cut out of, where its name does not.
    Where every image is of one class the targets are `Labels`, otherwise `ManyLabels`. The parts that
    are trained with, train and what validates it, have their classes in common.

    Raises:
        DataError: which line cannot be read, and why.
    """
    rows = _rows(path)
    films = _are_films(rows, path)
    parts = {name: own for name in (*PARTS, WHOLE) if (own := [row for row in rows if row.part == name])}
    used = [name for name in parts if name != "test" or "val" not in parts]

    def part(name: str) -> Part:
        beside = [row for other in (used if name in used else [name]) for row in parts[other]]
        classes = _sorted({one for row in beside for one in row.classes})
        several = any(len(row.classes) != 1 for row in beside)
        files = tuple(str(path.parent / row.file) for row in parts[name])
        targets = _targets([row.classes for row in parts[name]], classes, several)
        if films:
            told = tuple(row.group for row in parts[name])
            split = Split(Films(files), targets, told if all(told) else groups_of(files))
        else:
            split = Split(Files(files), targets)
        return Part(split, classes, f"the rows of split '{name}'")

    return {name: partial(part, name) for name in parts}


def names_films(path: Path) -> bool:
    """Whether a table's files are films. Raises `DataError` as `read_table`."""
    return _are_films(_rows(path), path)


def _are_films(rows: Sequence[_Row], path: Path) -> bool:
    """Whether the rows name films. Raises `DataError` where some do and some do not."""
    kinds = {is_film(row.file): row for row in reversed(rows)}
    if len(kinds) == 2:
        raise DataError(
            f"{path}, line {kinds[True].line} names a film, and line {kinds[False].line} an image: a table is of one kind"
        )
    return True in kinds


def _targets(given: Sequence[tuple[str, ...]], classes: tuple[str, ...], several: bool) -> Targets:
    number = {name: k for k, name in enumerate(classes)}
    if not several:
        return Labels(np.array([number[names[0]] for names in given], np.int64))
    many = np.zeros((len(given), len(classes)), bool)
    for row, names in zip(many, given, strict=True):
        row[[number[name] for name in names]] = True
    return ManyLabels(many)


def _sorted(names: set[str]) -> tuple[str, ...]:
    """By number where all are numbers, else by name."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


# ---- lines -----------------------------------------------------------------------------------------------------------


def _rows(path: Path) -> list[_Row]:
    try:
        text = io.StringIO(read_text(path), newline="")
        reader = csv.reader(text, delimiter=_separator(text.getvalue()))
        header = [name.strip() for name in next(reader, [])]
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except UserError as error:  # it is no text
        raise DataError(str(error)) from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV file: {error}") from error
    file, label, split, flags = _columns(header, path)
    lower = [name.lower() for name in header]
    group = lower.index(_GROUP) if _GROUP in lower and label is not None else None
    if not lines:
        raise DataError(f"{path} names its columns and no image")
    rows: list[_Row] = []
    seen: dict[str, int] = {}
    for line, cells in lines:
        where = f"{path}, line {line}"
        if len(cells) != len(header):
            raise DataError(f"{where} has {len(cells)} cells for {len(header)} columns")
        name = cells[file].strip()
        if not name:
            raise DataError(f"{where} names no file")
        if name in seen:
            raise DataError(
                f"{where}: '{name}' stands in line {seen[name]} already; an image of several classes has them in one "
                "line, joined by ';'"
            )
        seen[name] = line
        given = _flagged(cells, flags, where) if label is None else _named(cells[label], where)
        part, whose = (
            WHOLE if split is None else _part(cells[split], where),
            "" if group is None else cells[group].strip(),
        )
        rows.append(_Row(line, name, given, part, whose))
    return rows


def _separator(text: str) -> str:
    """What joins the columns: a comma, or the semicolon or tab that spreadsheets write in its place."""
    first = next(iter(text.splitlines()), "")
    return max(",;\t", key=first.count)


def _columns(header: list[str], path: Path) -> tuple[int, int | None, int | None, Mapping[str, int]]:
    """Where the files, the labels and the parts stand, and, where there are no labels, the columns of the classes."""
    lower = [name.lower() for name in header]

    def column(names: Sequence[str]) -> int | None:
        return next((lower.index(name) for name in names if name in lower), None)

    file, label, split = column(_FILE), column(_LABEL), column((_SPLIT,))
    if file is None:
        raise DataError(
            f"{path} has no column '{_FILE[0]}' (or {', '.join(_FILE[1:])}): its first line must name the columns, joined "
            f"by commas, and is '{', '.join(header)}'"
        )
    flags = (
        {worded(name): k for k, name in enumerate(header) if k not in (file, split) and name} if label is None else {}
    )
    if label is None and not flags:
        raise DataError(
            f"{path} has no column '{_LABEL[0]}' (or {', '.join(_LABEL[1:])}), nor a column of 0 and 1 for each class; it has "
            f"{', '.join(header)}"
        )
    return file, label, split, flags


def _named(cell: str, where: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(worded(name.strip()) for name in cell.split(";")))
    if "" in names:
        raise DataError(
            f"{where} has an empty label; for images of no class give a column of 0 and 1 for each class instead"
        )
    return names


def _flagged(cells: list[str], flags: Mapping[str, int], where: str) -> tuple[str, ...]:
    for name, k in flags.items():
        if cells[k].strip() not in ("0", "1"):
            raise DataError(
                f"{where} has '{cells[k].strip()}' in column '{name}'; without a column '{_LABEL[0]}' each other column is a "
                "class, with 1 where the image is of it and 0 where it is not"
            )
    return tuple(name for name, k in flags.items() if cells[k].strip() == "1")


def _part(cell: str, where: str) -> str:
    name = cell.strip().lower()
    if name not in _SYNONYMS:
        raise DataError(
            f"{where} is of split '{cell.strip()}'{nearest(name, tuple(_SYNONYMS))}; give train, val or test"
        )
    return _SYNONYMS[name]
