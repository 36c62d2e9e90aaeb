"""One number that a network is judged by, and metrics by their bare names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["KNOWN", "TABLED", "Interval", "Metric", "Unit", "headline_among", "named", "said", "worth_of"]

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


# Of names that stand alone, as in `metrics.jsonl` and in files of version 0.1: label, unit, whether more is better.
KNOWN = {
    "top1": ("top-1", Unit.SHARE, True),
    "top5": ("top-5", Unit.SHARE, True),
    "per_class_mean": ("mean of classes", Unit.SHARE, True),
    "majority": ("share of the largest class", Unit.SHARE, True),
    "loss": ("loss", Unit.NATS, False),
    "map": ("mean average precision", Unit.NONE, True),
    "exact": ("all labels right", Unit.SHARE, True),
    "f1": ("F1 of all labels", Unit.NONE, True),
    "pck": ("PCK", Unit.SHARE, True),
    "error": ("normalised error", Unit.NONE, False),
    "pixels": ("pixel error", Unit.PIXELS, False),
    "kernel_distance": ("kernel distance", Unit.NONE, False),
    "frechet_distance": ("Fréchet distance", Unit.NONE, False),
    "conditional_accuracy": ("conditional accuracy", Unit.SHARE, True),
    "coverage": ("classes covered", Unit.SHARE, True),
}

# COCO's twelve numbers, of masks and of boxes.
_COCO = {
    "ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "AP of small", "ap_medium": "AP of medium", "ap_large": "AP of large",
    "ar1": "AR of 1", "ar10": "AR of 10", "ar100": "AR of 100", "ar_small": "AR of small", "ar_medium": "AR of medium",
    "ar_large": "AR of large",
}  # fmt: skip
_DETECTED = {
    f"{of}_{name}": (f"{of} {label}", Unit.SHARE, True) for of in ("mask", "box") for name, label in _COCO.items()
}
KNOWN |= _DETECTED
TABLED = frozenset(_DETECTED)  # so many that they are read in a table


def named(name: str, value: float, interval: Interval | None = None) -> Metric:
    """The metric of a bare name; of one that is not known, a number without a unit."""
    label, unit, better = KNOWN.get(name, (name, Unit.NONE, True))
    return Metric(name, value, interval, unit, better, label)


def headline_among(values: Mapping[str, float], prefix: str = "val_") -> Metric | None:
    """The first of `values` whose name begins with `prefix`, without it, and is no loss; None where there is none."""
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
