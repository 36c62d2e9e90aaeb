"""What an evaluation says, as values: metrics, of which the first is the headline, and what is worth drawing.

Nothing here knows a task or torch. A meter makes these; run folders hold them; reports, the command line and searches read
them. Folders of version 0.1, whose `scores.json` has no list of metrics, are read as classification's.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, Self, final

from .shown import Shown
from .tagged import Tagged

__all__ = [
    "BLOCKS", "Block", "Confusion", "Metric", "Mistake", "Mistakes", "Scores", "Table", "Unit", "headline_among", "named",
    "said", "worth_of",
]  # fmt: skip

Interval = tuple[float, float]


class Unit(StrEnum):
    """share: of n things, between 0 and 1. px: pixels of the picture. nats: of a loss. none: a number without a unit."""

    SHARE = "share"
    PIXELS = "px"
    NATS = "nats"
    NONE = "none"


@dataclass(frozen=True)
class Metric:
    """One number that a network is judged by. `name` is its key in files, `label` what people read; `interval` is 95 %."""

    name: str
    value: float
    interval: Interval | None = None
    unit: Unit = Unit.SHARE
    more_is_better: bool = True
    label: str = ""

    @property
    def text(self) -> str:
        """The value as people read it.

        >>> Metric("top1", 0.96379).text
        '96.38%'
        """
        return said(self.value, self.unit)

    @property
    def interval_text(self) -> str:
        """The ends of the interval; empty where there is none."""
        return "" if self.interval is None else ", ".join(said(end, self.unit) for end in self.interval)

    def ends(self, between: str) -> str:
        """The ends of the interval for a table, a share's in per cent; a dash where there is none.

        >>> Metric("top1", 0.9, (0.87, 0.9234)).ends(" to ")
        '87.0 to 92.3'
        """
        share = self.unit is Unit.SHARE
        return between.join(f"{100 * end:.1f}" if share else f"{end:.4g}" for end in self.interval or ()) or "–"

    @property
    def words(self) -> str:
        """What people read before the value: its label, or its name where it has none."""
        return self.label or self.name

    @property
    def title(self) -> str:
        """The same with a capital."""
        return self.words[:1].upper() + self.words[1:]

    @property
    def worth(self) -> float:
        """The value, or its negative where less is better: of two worths of one metric the larger is the better one.

        >>> Metric("error", 3.5, unit=Unit.PIXELS, more_is_better=False).worth
        -3.5
        """
        return self.value if self.more_is_better else -self.value

    def to_record(self) -> dict[str, object]:
        """An entry of the list `metrics` in `scores.json`."""
        ends = None if self.interval is None else list(self.interval)
        return asdict(self) | {"interval": ends, "unit": self.unit.value}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Metric:
        """Reads what `to_record` wrote. Raises KeyError, IndexError, TypeError or ValueError where it is no such record."""
        interval = record.get("interval")
        return cls(
            str(record["name"]),
            float(record["value"]),
            None if interval is None else (float(interval[0]), float(interval[1])),
            Unit(record.get("unit", "share")),
            bool(record.get("more_is_better", True)),
            str(record.get("label", "")),
        )

    def to_row(self) -> dict[str, object]:
        """As the rows of a search hold one score: under its own name, as 0.1 did, and as the `score` of the `metric`.

        A value that is not finite, of a network whose outputs are not, is null.
        """
        record, value = self.to_record(), self.value if math.isfinite(self.value) else None
        own = {self.name: value, f"{self.name}_interval": record["interval"]}
        return own | {"score": value, "metric": self.name} | {key: record[key] for key in _ABOUT}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Metric:
        """Reads what `to_row` added to a row, or a row of version 0.1, whose score is a classifier's. Raises as `from_record`."""
        name = row.get("metric", "top1")
        about = {key: row[key] for key in _ABOUT if key in row} if "metric" in row else named(name, 0.0).to_record()
        value = math.nan if row[name] is None else row[name]
        return cls.from_record(about | {"name": name, "value": value, "interval": row.get(f"{name}_interval")})


# What is said of a metric beside its name, its value and its interval.
_ABOUT = ("unit", "more_is_better", "label")


def said(value: float, unit: Unit, digits: int = 2) -> str:
    """A number in its unit, as people read it."""
    match unit:
        case Unit.SHARE:
            return f"{value:.{digits}%}"
        case Unit.PIXELS:
            return f"{value:.{digits}f} px"
        case _:
            return f"{value:.4f}"


# ---- what is worth drawing -------------------------------------------------------------------------------------------


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


# ---- all of it -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Scores(Shown):
    """The results on `n` inputs of the part `split`.

    The first metric is the headline: what searches, studies and gates go by. `settings` are the numbers that the metrics
    were made with, such as the k of a top-k. `of` says what the inputs are where they are not the run's own validation part:
    "cifar/test".
    """

    split: str
    n: int
    metrics: tuple[Metric, ...]
    settings: tuple[tuple[str, float], ...] = ()
    blocks: tuple[Block, ...] = ()
    of: str = ""

    @property
    def headline(self) -> Metric:
        return self.metrics[0]

    def __getitem__(self, name: str) -> float:
        """The value of the metric of that name, such as `scores["top1"]`."""
        return self.metric(name).value

    def metric(self, name: str) -> Metric:
        """The metric of that name. Raises KeyError that lists the names."""
        for one in self.metrics:
            if one.name == name:
                return one
        raise KeyError(f"no metric '{name}'; there are {', '.join(one.name for one in self.metrics)}")

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, pad: int = 0) -> list[str]:
        """A line for each metric with an interval and the headline, its label `pad` wide; then one for all the others."""
        n = f"n = {self.n}" + (f" of {self.of}" if self.of else "")
        several = {id(one): f"  [{one.interval_text}]  (95 %, {n})" for one in self.metrics if one.interval is not None}
        ends = {id(self.headline): f"  ({n})"} | several
        lines = [f"{one.words:<{pad}} {one.text}{ends[id(one)]}" for one in self.metrics if id(one) in ends]
        rest = ", ".join(f"{one.words} {one.text}" for one in self.metrics if id(one) not in ends)
        return [*lines, rest] if rest else lines

    def to_record(self) -> dict[str, object]:
        """`scores.json`: each metric flat under its name, with its interval; then all of them as a list, the headline first."""
        record: dict[str, object] = {"split": self.split, "n": self.n} | ({"of": self.of} if self.of else {})
        for one in self.metrics:
            record[one.name] = one.value
            if one.interval is not None:
                record[f"{one.name}_interval"] = list(one.interval)
        record |= dict(self.settings)
        for block in self.blocks:
            record |= block.to_record()
        return record | {"settings": dict(self.settings), "metrics": [one.to_record() for one in self.metrics]}

    def short_record(self) -> dict[str, object]:
        """`to_record` without what is only for drawing."""
        bulky = {key for block in self.blocks for key in block.bulky}
        return {key: value for key, value in self.to_record().items() if key not in bulky}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Scores:
        """Reads what `to_record` wrote, or version 0.1. Raises ValueError where it is no such record."""
        try:
            metrics = tuple(map(Metric.from_record, record["metrics"])) if "metrics" in record else _of_0_1(record)
            settings = tuple(record.get("settings", {"k": record["k"]} if "k" in record else {}).items())
            blocks = tuple(block for kind in BLOCKS if (block := kind.from_record(record)) is not None)
            found = cls(
                str(record.get("split", "val")), int(record["n"]), metrics, settings, blocks, str(record.get("of", ""))
            )
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"these are no scores: {error!r} is missing or of another type") from None
        if not found.metrics or found.n < 1 or not all(math.isfinite(one.value) for one in found.metrics):
            raise ValueError("these are no scores: a metric, a count or a number is missing")
        return found


# ---- metrics by their bare names -------------------------------------------------------------------------------------

# Of names that stand alone, as in `metrics.jsonl` and in files of version 0.1: label, unit, whether more is better.
_KNOWN = {
    "top1": ("top-1", Unit.SHARE, True),
    "top5": ("top-5", Unit.SHARE, True),
    "per_class_mean": ("mean of classes", Unit.SHARE, True),
    "majority": ("share of the largest class", Unit.SHARE, True),
    "loss": ("loss", Unit.NATS, False),
    "map": ("mean average precision", Unit.NONE, True),
    "exact": ("all labels right", Unit.SHARE, True),
    "f1": ("F1 of all labels", Unit.NONE, True),
}


def named(name: str, value: float, interval: Interval | None = None) -> Metric:
    """The metric of a bare name; of one that is not known, a number without a unit."""
    label, unit, better = _KNOWN.get(name, (name, Unit.NONE, True))
    return Metric(name, value, interval, unit, better, label)


def headline_among(values: Mapping[str, float], prefix: str = "val_") -> Metric | None:
    """The first of `values` whose name begins with `prefix`, without it, and is no loss; None where there is none.

    >>> headline_among({"val_loss": 0.31, "val_top1": 0.92}).text
    '92.00%'
    """
    own = [name.removeprefix(prefix) for name in values if name.startswith(prefix)]
    return next((named(name, values[prefix + name]) for name in own if name != "loss"), None)


def worth_of(values: Mapping[str, float], prefix: str = "val_") -> tuple[float, float]:
    """What an epoch is worth by the numbers it was validated with; of two, the larger is the better one.

    The headline counts first, and of equal ones the loss.

    >>> worth_of({"val_top1": 0.9, "val_loss": 0.31}) > worth_of({"val_top1": 0.9, "val_loss": 0.32})
    True
    """
    headline = headline_among(values, prefix)
    return -math.inf if headline is None else headline.worth, -values.get(f"{prefix}loss", math.inf)


def _of_0_1(record: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The metrics of a `scores.json` that has none in a list: a classifier's."""
    found = [
        Metric.from_record(
            named(name, 0.0).to_record() | {"value": record[name], "interval": record.get(f"{name}_interval")}
        )
        for name in _KNOWN
        if record.get(name) is not None or name == "top1"
    ]
    return tuple(replace(one, label=f"top-{record.get('k', 5)}") if one.name == "top5" else one for one in found)
