"""What of an evaluation is worth drawing."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, final

from ..tagged import Tagged

__all__ = ["BLOCKS", "Block", "Confusion", "Mistake", "Mistakes", "Table"]


@dataclass(frozen=True)
class Block(Tagged):
    """Something of an evaluation that a report draws. `to_record` is what it adds to `scores.json`.

    `bulky` are those of its keys that nobody reads in a terminal.
    """

    bulky: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def to_record(self) -> dict[str, object]: ...

    @classmethod
    @abc.abstractmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self | None:
        """The block that `scores.json` holds; None where it holds none. Raises ValueError or KeyError at a damaged one."""


@final
@dataclass(frozen=True)
class Confusion(Block):
    """How often each class (a row) was taken for each (a column)."""

    kind: ClassVar[str] = "confusion"
    bulky: ClassVar[tuple[str, ...]] = ("confusion",)
    classes: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        size = len(self.classes)
        if len(self.matrix) != size or any(len(row) != size for row in self.matrix):
            raise ValueError(f"the confusion matrix is not {size} x {size}, as its {size} classes ask for")

    @property
    def largest(self) -> tuple[str, float]:
        """The class that most images are of, and its share of them: what always answering it would score."""
        counts = [sum(row) for row in self.matrix]
        most = max(range(len(counts)), key=counts.__getitem__)
        return self.classes[most], counts[most] / sum(counts)

    @property
    def favourite(self) -> tuple[str, float]:
        """The class that is answered most, and how often."""
        counts = [sum(column) for column in zip(*self.matrix, strict=True)]
        most = max(range(len(counts)), key=counts.__getitem__)
        return self.classes[most], counts[most] / sum(counts)

    def per_class(self) -> Table:
        """A row a class: its images, how many were taken for it, how many of these rightly, and the two shares."""
        rows = []
        for k, name in enumerate(self.classes):
            images, answered = sum(self.matrix[k]), sum(row[k] for row in self.matrix)
            right = self.matrix[k][k]
            shares = (right / answered if answered else None, right / images if images else None)
            rows.append((name, images, answered, right, *shares))
        columns = ("class", "images", "answered", "right", "precision", "recall")
        return Table("Each class", columns, tuple(rows))

    def to_record(self) -> dict[str, object]:
        return {"classes": list(self.classes), "confusion": [list(row) for row in self.matrix]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self | None:
        if not record.get("confusion"):
            return None
        return cls(tuple(map(str, record["classes"])), tuple(tuple(int(n) for n in row) for row in record["confusion"]))


@dataclass(frozen=True)
class Mistake:
    """An image that was taken for another class. `image` is a picture as a data URI."""

    label: int
    predicted: int
    confidence: float
    image: str = ""
    path: str | None = None
    index: int | None = None


@final
@dataclass(frozen=True)
class Mistakes(Block):
    """The most confident wrong answers, the surest first. `classes` are the names that their numbers stand for."""

    kind: ClassVar[str] = "mistakes"
    bulky: ClassVar[tuple[str, ...]] = ("wrong",)
    classes: tuple[str, ...]
    wrong: tuple[Mistake, ...]

    def to_record(self) -> dict[str, object]:
        return {"classes": list(self.classes), "wrong": [asdict(one) for one in self.wrong]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self | None:
        if "wrong" not in record:
            return None
        fields = ("label", "predicted", "confidence", "image", "path", "index")
        wrong = tuple(Mistake(**{name: one[name] for name in fields if name in one}) for one in record["wrong"])
        return cls(tuple(map(str, record.get("classes", ()))), wrong)


@final
@dataclass(frozen=True)
class Table(Block):
    """Rows under named columns; the first column names the row."""

    kind: ClassVar[str] = "table"
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]

    def to_record(self) -> dict[str, object]:
        rows = [list(row) for row in self.rows]
        return {"table": {"title": self.title, "columns": list(self.columns), "rows": rows}}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self | None:
        if (one := record.get("table")) is None:
            return None
        return cls(str(one["title"]), tuple(one["columns"]), tuple(tuple(row) for row in one["rows"]))


BLOCKS: tuple[type[Block], ...] = (Confusion, Mistakes, Table)
