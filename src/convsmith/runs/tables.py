"""Scores as tables that a spreadsheet opens."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..files import write_text
from ..scores import Confusion, Scores, Table

__all__ = ["write_tables"]


def write_tables(scores: Scores, folder: Path) -> tuple[Path, ...]:
    """`classes.csv`, a row a class, and of a classifier `confusion.csv`: a row for each class that images are of, a column
    for each that was answered. Of points `body-parts.csv` and `individuals.csv`. The files that were written."""
    written = []
    for block in scores.blocks:
        match block:
            case Confusion(classes=classes, matrix=matrix):
                table = block.per_class()
                written += [_written(folder / "classes.csv", (table.columns, *table.rows))]
                rows = [(name, *row) for name, row in zip(classes, matrix, strict=True)]
                written += [_written(folder / "confusion.csv", (("class", *classes), *rows))]
            case Table(columns=columns, rows=own):
                written += [_written(folder / block.file, (columns, *own))]
            case _:
                pass
    return tuple(written)


def _written(path: Path, rows: Iterable[Sequence[object]]) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())
    return path
