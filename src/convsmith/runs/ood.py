"""`ood.json`: a run's score within its domain beside that out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..scores import Metric, Scores

__all__ = ["Domains"]


@dataclass(frozen=True)
class Domains:
    """The scores of one network on pictures like those it was trained on, `within`, and on others, `beyond`: of other
    individuals, places or cameras. `notes` say what speaks against reading it so."""

    within: Scores
    beyond: Scores
    notes: tuple[str, ...] = ()

    @property
    def pairs(self) -> tuple[tuple[Metric, Metric], ...]:
        """The metrics that both parts have."""
        names = {one.name for one in self.beyond.metrics}
        return tuple((one, self.beyond.metric(one.name)) for one in self.within.metrics if one.name in names)

    @property
    def sentence(self) -> str:
        """The headline of both, and what became of it."""
        within, beyond = self.pairs[0]
        times = "" if (share := ratio(within, beyond)) is None else f", {share:.2f} times that"
        return f"{within.title} is {within.text} within the domain and {beyond.text} out of it{times}."

    def lines(self) -> Iterator[str]:
        yield self.sentence
        for name, part in (("Within", self.within), ("Out of domain", self.beyond)):
            for note in part.notes:
                yield f"{name}: {note}."
        yield from (f"{note[:1].upper()}{note[1:]}." for note in self.notes)

    def to_record(self) -> dict[str, Any]:
        ratios = {within.name: ratio(within, beyond) for within, beyond in self.pairs}
        return {
            "within": self.within.short_record(),
            "beyond": self.beyond.to_record(),
            "ratio": ratios,
            "notes": list(self.notes),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Domains:
        """Reads what `to_record` wrote. Raises ValueError where it is no such record."""
        try:
            parts = [Scores.from_record(record[name]) for name in ("within", "beyond")]
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no comparison of domains: {error!r} is missing or of another type") from None
        return cls(parts[0], parts[1], tuple(map(str, record.get("notes", ()))))


def ratio(within: Metric, beyond: Metric) -> float | None:
    """How many times the one the other is; None where that is 0."""
    return beyond.value / within.value if within.value else None
