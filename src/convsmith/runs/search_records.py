"""What a search's folder holds: the children that were chosen, and the networks that they are held against."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, final

from ..scores import Metric, named
from .record import Record

__all__ = ["Foil", "Foils", "Front", "FrontRow", "Ranked", "Scored"]


@dataclass(frozen=True, kw_only=True)
class Scored(Record):
    """A network with its cost and its headline score, which the file has flat: under its own name, and as `score`."""

    score: Metric
    macs: int
    params: int

    @classmethod
    def from_record(cls, data: Mapping[str, Any]) -> Self:
        return super().from_record(_with_score(data))

    def to_record(self) -> dict[str, Any]:
        own = super().to_record()
        del own["score"]
        return own | self.score.to_row()


@final
@dataclass(frozen=True, kw_only=True)
class FrontRow(Scored):
    """A child that was scored on `n` held-out images; `ms` is predicted, of a winner measured.

    Of a winner alone: the `budget` that it won, by its name, and its `cost` on the front's axis.
    """

    genes: tuple[int | float, ...]
    ms: float | None = None
    budget: str = ""
    cost: int | float | None = None

    def left_out(self) -> Iterable[str]:
        return () if self.budget else ("budget", "cost")

    def on(self, axis: str) -> float:
        """Its cost on the front's axis, `ms` or `macs`."""
        of_it = self.ms if axis == "ms" else self.macs
        assert of_it is not None  # where the axis is milliseconds, all have some
        return of_it


@final
@dataclass(frozen=True)
class Ranked(Record):
    """How far two halves of the held-out images agree on the order of `n` children that cost what a budget's winner does: Kendall's
    `tau` with a 95 % interval. Where it holds 0 they were not ranked, and `cheaper` says whether another winner, that costs less,
    was taken for it."""

    budget: str
    tau: float | None
    low: float | None
    high: float | None
    n: int
    cheaper: bool

    @property
    def sure(self) -> bool:
        return self.low is not None and self.low > 0

    @property
    def text(self) -> str:
        """Tau with its interval."""
        if self.tau is None or self.low is None or self.high is None:
            return "none, all score the same"
        return f"{self.tau:.2f} [{self.low:.2f}, {self.high:.2f}]"


@final
@dataclass(frozen=True)
class Front(Record):
    """`front.json`: `winners`, one a budget; `front`, the cheapest first; `tried`, (cost, score) of every child scored.

    Costs are predicted milliseconds where `axis` is "ms", else multiply-adds ("macs"). `ranked` is of the budgets near whose
    winners the space has a dozen children.
    """

    winners: tuple[FrontRow, ...]
    front: tuple[FrontRow, ...]
    axis: str
    tried: tuple[tuple[int | float, float], ...]
    scored: int
    failed: int
    n: int
    ranked: tuple[Ranked, ...] = ()

    def left_out(self) -> Iterable[str]:
        return () if self.ranked else ("ranked",)

    @property
    def metric(self) -> Metric:
        """What the children were chosen by; its value is that of the first winner."""
        return next((row.score for row in (*self.winners, *self.front)), named("top1", math.nan))

    @classmethod
    def from_record(cls, data: Mapping[str, Any]) -> Self:
        return super().from_record({**data, **{key: _with_scores(data, key) for key in ("winners", "front")}})


@final
@dataclass(frozen=True, kw_only=True)
class Foil(Scored):
    """A network `against`, scaled to the multiply-adds of a budget's winner and trained alone; or why it `failed`."""

    against: str
    budget: str
    spec: str
    resolution: int
    n: int
    failed: str = ""


@final
@dataclass(frozen=True)
class Foils(Record):
    """`foils.json`."""

    rows: tuple[Foil, ...]

    @classmethod
    def from_record(cls, data: Mapping[str, Any]) -> Self:
        return super().from_record({**data, "rows": _with_scores(data, "rows")})


def _with_scores(data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    if not isinstance(rows := data.get(key), list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{key}: it is no list of rows")
    return [_with_score(row, f"{key}.{place}") for place, row in enumerate(rows)]


def _with_score(row: Mapping[str, Any], where: str = "score") -> dict[str, Any]:
    try:
        return {**row, "score": Metric.from_row(row).to_record()}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: it has no score ({error!r})") from None
