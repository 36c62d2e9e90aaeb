"""A table of a page, whose columns are numbers unless they are said to be words."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cell", "Table"]


@dataclass(frozen=True)
class Cell:
    """A cell that is more than a text: what it points at, and lines in small beneath it, such as the spread of a number."""

    text: str
    small: tuple[str, ...] = ()
    href: str = ""


@dataclass(frozen=True)
class Table:
    """A titled table; the first cell of a row is its name. `words` are the columns that are no numbers, of those after the
    first; `legend` says what has to be said to read it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    words: tuple[str, ...] = ()
    legend: str = ""
