"""What of an evaluation is worth drawing."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, final

from ..tagged import Tagged

__all__ = ["Block", "Confusion", "Mistake", "Mistakes", "Pose", "Poses", "Table"]


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

    @classmethod
    def several(cls, blocks: Sequence[Self]) -> dict[str, object]:
        """What blocks of this kind add to `scores.json` together; of most kinds an evaluation has one."""
        return {key: value for one in blocks for key, value in one.to_record().items()}

    @classmethod
    def all_from(cls, record: Mapping[str, Any]) -> tuple[Self, ...]:
        """All blocks of this kind that `scores.json` holds. Raises as `from_record`."""
        one = cls.from_record(record)
        return () if one is None else (one,)


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

    @property
    def file(self) -> str:
        """The name of its file as CSV, after what its rows are of.

        >>> Table("", ("body part", "n"), ()).file
        'body-parts.csv'
        """
        of = self.columns[0].replace(" ", "-")
        return f"{of}{'es' if of.endswith('s') else 's'}.csv"

    def to_record(self) -> dict[str, object]:
        return {"table": self._plain()}

    @classmethod
    def several(cls, blocks: Sequence[Self]) -> dict[str, object]:
        """The first under the key that was there when an evaluation had one, the others beside it."""
        more = [one._plain() for one in blocks[1:]]
        return blocks[0].to_record() | ({"more_tables": more} if more else {})

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self | None:
        return None if (one := record.get("table")) is None else cls._of(one)

    @classmethod
    def all_from(cls, record: Mapping[str, Any]) -> tuple[Self, ...]:
        return (*super().all_from(record), *map(cls._of, record.get("more_tables", ())))

    def _plain(self) -> dict[str, object]:
        return {"title": self.title, "columns": list(self.columns), "rows": [list(row) for row in self.rows]}

    @classmethod
    def _of(cls, one: Mapping[str, Any]) -> Self:
        return cls(str(one["title"]), tuple(one["columns"]), tuple(tuple(row) for row in one["rows"]))


Point = tuple[float, float]


@dataclass(frozen=True)
class Pose:
    """A picture and the points that a network found in it, as (x, y) in the picture's own pixels; `true` are those that were
    labelled, None where one was not.

    `error` is the mean distance of the two, in the unit that its `Poses` names. `image` is a picture as a data URI, and
    `place` the part of the picture that it shows, (left, top, right, bottom).
    """

    predicted: tuple[Point, ...]
    true: tuple[Point | None, ...]
    likelihood: tuple[float, ...]
    error: float
    individual: str = ""
    image: str = ""
    place: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    path: str | None = None
    index: int | None = None


@final
@dataclass(frozen=True)
class Poses(Block):
    """The pictures whose points are farthest off, the worst first. `names` are what the points are of, `bones` pairs of their
    numbers; a prediction is sure from a likelihood of `cutoff` on. `unit` says what the errors are in: "px", or "" where they are
    shares of the individual's scale."""

    kind: ClassVar[str] = "poses"
    bulky: ClassVar[tuple[str, ...]] = ("poses",)
    names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    worst: tuple[Pose, ...]
    unit: str = ""
    cutoff: float = 0.6

    def to_record(self) -> dict[str, object]:
        worst = [asdict(one) for one in self.worst]
        return {
            "poses": {
                "names": list(self.names),
                "bones": [list(pair) for pair in self.bones],
                "unit": self.unit,
                "cutoff": self.cutoff,
                "worst": worst,
            }
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self | None:
        if (one := record.get("poses")) is None:
            return None
        bones = tuple((int(a), int(b)) for a, b in one["bones"])
        worst = tuple(map(_pose, one["worst"]))
        return cls(tuple(map(str, one["names"])), bones, worst, str(one["unit"]), float(one["cutoff"]))


def _pose(one: Mapping[str, Any]) -> Pose:
    left, top, right, bottom = one["place"]
    return Pose(
        predicted=tuple((float(x), float(y)) for x, y in one["predicted"]),
        true=tuple(None if at is None else (float(at[0]), float(at[1])) for at in one["true"]),
        likelihood=tuple(map(float, one["likelihood"])),
        error=float(one["error"]),
        individual=str(one["individual"]),
        image=str(one["image"]),
        place=(float(left), float(top), float(right), float(bottom)),
        path=one["path"],
        index=one["index"],
    )
