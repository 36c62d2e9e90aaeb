"""The three lines that stand above every table of DeepLabCut's: scorer, bodyparts, coords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....errors import DataError

__all__ = ["LIKELIHOOD", "Header"]

_LINES = ("scorer", "bodyparts", "coords")
LIKELIHOOD = "likelihood"


@dataclass(frozen=True)
class Header:
    """Who labelled, what, and which numbers each body part has: x and y of labels, x, y and likelihood of predictions.

    `index` is how many columns before the numbers name the row: one with a path, or three with its folder, video and image.
    """

    scorer: str
    bodyparts: tuple[str, ...]
    coords: tuple[str, ...] = ("x", "y")
    index: int = 1

    @property
    def columns(self) -> list[tuple[str, str, str]]:
        """Of each number its (scorer, body part, coordinate), in their order: the columns of the table in pandas."""
        return [(self.scorer, part, coord) for part in self.bodyparts for coord in self.coords]

    def lines(self) -> list[list[str]]:
        """The three lines, as cells."""
        over = [""] * (self.index - 1)
        return [[word, *over, *(one[k] for one in self.columns)] for k, word in enumerate(_LINES)]

    @classmethod
    def of(cls, lines: Sequence[Sequence[str]], where: str) -> Header:
        """What the first three lines of a file say.

        Raises:
            DataError: they are no such lines, or those of a project with several animals in a picture.
        """
        words = [line[0].strip() if line else "" for line in lines[:4]]
        if "individuals" in words:
            raise DataError(f"{where} has several animals in a picture (its line 'individuals'): that is not read")
        if tuple(words[:3]) != _LINES:
            raise DataError(
                f"{where} is no table of DeepLabCut's: its first lines do not begin with {', '.join(_LINES)}"
            )
        index = next((k for k, cell in enumerate(lines[2]) if cell.strip() == "x"), 0)
        if index not in (1, 3):
            raise DataError(f"{where}: the line 'coords' must have its first x in column 2 or 4")
        scorers, parts, coords = ([cell.strip() for cell in line[index:]] for line in lines[:3])
        if not len(scorers) == len(parts) == len(coords):
            raise DataError(f"{where}: the lines {', '.join(_LINES)} have unequal lengths")
        return cls.of_columns(list(zip(scorers, parts, coords, strict=True)), index, where)

    @classmethod
    def of_columns(cls, columns: Sequence[Sequence[str]], index: int, where: str) -> Header:
        """The header of columns (scorer, body part, coordinate)."""
        names = tuple(dict.fromkeys(str(part) for _, part, _ in columns))
        each = tuple(dict.fromkeys(str(coord) for *_, coord in columns))
        header = cls(str(columns[0][0]), names, each, index)
        if [(part, coord) for _, part, coord in header.columns] != [(str(p), str(c)) for _, p, c in columns]:
            raise DataError(f"{where}: each body part must have {', '.join(each)} in columns beside each other, once")
        return header
