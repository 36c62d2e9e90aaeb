"""DeepLabCut's labels as a table, from a .csv or from the .h5 that says the same."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....errors import DataError, UserError
from ....firstbytes import no_file, read_text
from .header import Header

__all__ = ["Table", "begins_as_table", "read_labels"]

_KEY = "df_with_missing"


@dataclass(frozen=True, eq=False)
class Table:
    """Of each frame its path, with `/` between folders, and its points float64 ⟨n,K,2⟩, NaN where one is missing."""

    header: Header
    frames: tuple[str, ...]
    xy: np.ndarray


def read_labels(path: Path) -> Table:
    """The labels in a .csv or an .h5, which needs pandas and tables.

    Raises:
        DataError: which line cannot be read, and why.
    """
    table = _read_h5(path) if path.suffix.lower() == ".h5" else _read_csv(path)
    if table.header.coords != ("x", "y"):
        raise DataError(f"{path} has {', '.join(table.header.coords)} of each body part: labels have x and y")
    if not table.frames:
        raise DataError(f"{path} has no frames")
    seen: set[str] = set()
    for frame in table.frames:
        if frame in seen:
            raise DataError(f"{path} has the frame {frame} twice")
        seen.add(frame)
    half = np.isnan(table.xy).sum(2) == 1
    if half.any():
        row, part = (int(k) for k in np.argwhere(half)[0])
        raise DataError(
            f"{path}: '{table.header.bodyparts[part]}' in {table.frames[row]} has one of x and y without the other"
        )
    return table


def begins_as_table(path: Path) -> bool:
    """Whether a .csv is one of DeepLabCut's."""
    try:
        if no_file(path):
            return False
        with path.open("rb") as file:
            return file.read(16).removeprefix(b"\xef\xbb\xbf").lstrip(b'"').startswith(b"scorer")
    except OSError:
        return False


def _read_csv(path: Path) -> Table:
    try:
        reader = csv.reader(io.StringIO(read_text(path), newline=""))
        rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except UserError as error:  # it is no text
        raise DataError(str(error)) from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV file: {error}") from error
    header = Header.of([cells for _, cells in rows[:4]], str(path))
    columns, width = header.columns, header.index + len(header.columns)
    frames, values = [], np.full((len(rows) - 3, len(columns)), np.nan)
    for row, (line, cells) in zip(values, rows[3:], strict=True):
        if len(cells) != width:
            raise DataError(f"{path}, line {line} has {len(cells)} cells for {width} columns")
        frames.append(_joined(cells[: header.index]))
        for k, cell in enumerate(cells[header.index :]):
            row[k] = _number(cell.strip(), f"{path}, line {line}, {columns[k][2]} of '{columns[k][1]}'")
    return Table(header, tuple(frames), values.reshape(len(values), len(header.bodyparts), -1))


def _number(cell: str, where: str) -> float:
    if not cell:
        return np.nan
    try:
        value = float(cell)
    except ValueError:
        raise DataError(f"{where} is '{cell}'; give a number, or leave the cell empty where it is missing") from None
    if np.isinf(value):
        raise DataError(f"{where} is infinite")
    return value


def _read_h5(path: Path) -> Table:
    try:
        import pandas
        import tables  # noqa: F401  # pandas reads with it, and says so less clearly
    except ImportError:
        raise DataError(
            f"{path} is read with pandas and tables, which are not installed: `pip install 'convsmith[pose]'`, or lay the .csv "
            "that DeepLabCut writes beside it"
        ) from None
    try:
        frame = pandas.read_hdf(path, key=_KEY)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read: it must hold a table called {_KEY} ({error})") from error
    names = list(frame.columns.names)
    if "individuals" in names:
        raise DataError(f"{path} has several animals in a picture (its level 'individuals'): that is not read")
    if frame.columns.nlevels != 3:
        raise DataError(f"{path} is no table of DeepLabCut's: its columns have {frame.columns.nlevels} levels, not 3")
    header = Header.of_columns(list(frame.columns), frame.index.nlevels, str(path))
    frames = tuple(_joined(one if isinstance(one, tuple) else (one,)) for one in frame.index)
    try:
        values = frame.to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} holds what is no number: {error}") from error
    return Table(header, frames, values.reshape(len(values), len(header.bodyparts), -1))


def _joined(cells: object) -> str:
    """A row's name, in one cell or in three, as one path; Windows wrote some of them."""
    assert isinstance(cells, list | tuple)
    return "/".join(str(cell).strip() for cell in cells).replace("\\", "/")
