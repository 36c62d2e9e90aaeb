"""All that an evaluation says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..shown import Shown
from .blocks import Block, Confusion, Mistakes
from .kinds import found_in, recorded
from .metrics import KNOWN, TABLED, Metric, named

__all__ = ["Scores"]


@dataclass(frozen=True, repr=False)
class Scores(Shown):
    """The results on `n` inputs of the part `split`.

    The first metric is the headline: what searches, studies and gates go by. `settings` are the numbers that the metrics
    were made with, such as the k of a top-k. `of` says what the inputs are where they are not the run's own validation part:
    "cifar/test". `notes` are sentences on how the numbers came about.
    """

    split: str
    n: int
    metrics: tuple[Metric, ...]
    settings: tuple[tuple[str, float], ...] = ()
    blocks: tuple[Block, ...] = ()
    of: str = ""
    notes: tuple[str, ...] = ()

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

    def telling(self) -> tuple[Metric, ...]:
        """The metrics that could have been otherwise: among k classes or fewer every answer is among the first k."""
        classes = max(
            (len(block.classes) for block in self.blocks if isinstance(block, Confusion | Mistakes)), default=0
        )

        def says_nothing(metric: Metric) -> bool:
            k = metric.label.removeprefix("top-")
            return k.isdigit() and int(k) > 1 and 0 < classes <= int(k)

        return tuple(metric for metric in self.metrics if not says_nothing(metric))

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, pad: int = 0) -> list[str]:
        """A line for each telling metric with an interval and the headline, its label `pad` wide; then one for all the others, of
        COCO's numbers one by masks and one by boxes, and the notes."""
        n, lines = f"n = {self.n}" + (f" of {self.of}" if self.of else ""), []
        rest: dict[str, list[str]] = {}
        for one in self.telling():
            said = f"{one.words:<{pad}} {one.text}"
            if one.interval is not None:
                lines.append(f"{said}  [{one.interval_text}]  (95 %, {n})")
            elif one is self.headline:
                lines.append(f"{said}  ({n})")
            else:
                rest.setdefault(one.name.split("_")[0] if one.name in TABLED else "", []).append(
                    f"{one.words} {one.text}"
                )
        return [
            *lines,
            *map(", ".join, rest.values()),
            *(f"{note[:1].upper()}{note[1:]}." for note in self.notes),
        ]

    def to_record(self) -> dict[str, object]:
        """`scores.json`: each metric flat under its name, with its interval; then all of them as a list, the headline first."""
        record: dict[str, object] = {"split": self.split, "n": self.n} | ({"of": self.of} if self.of else {})
        for one in self.metrics:
            record[one.name] = one.value
            if one.interval is not None:
                record[f"{one.name}_interval"] = list(one.interval)
        record |= dict(self.settings)
        record |= recorded(self.blocks) | ({"notes": list(self.notes)} if self.notes else {})
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
            of, notes = str(record.get("of", "")), tuple(map(str, record.get("notes", ())))
            found = cls(
                str(record.get("split", "val")), int(record["n"]), metrics, settings, found_in(record), of, notes
            )
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"these are no scores: {error!r} is missing or of another type") from None
        if not found.metrics or found.n < 1 or not all(math.isfinite(one.value) for one in found.metrics):
            raise ValueError("these are no scores: a metric, a count or a number is missing")
        return found


def _of_0_1(record: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The metrics of a `scores.json` that has none in a list: a classifier's."""
    found = [
        Metric.from_record(named(name, record[name], record.get(f"{name}_interval")).to_record())
        for name in KNOWN
        if record.get(name) is not None or name == "top1"
    ]
    return tuple(replace(one, label=f"top-{record.get('k', 5)}") if one.name == "top5" else one for one in found)
