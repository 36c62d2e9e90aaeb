"""One self-contained page for a study: its bars, its numbers, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from .. import plot
from .bars import Bar, effect_points, ladder_bars
from .format import count
from .tables import Cell, Table
from .templates import template
from .view import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["StudyRow", "StudyView", "render_study"]


@dataclass(frozen=True)
class StudyRow:
    """One step: its bar, its scores by seed, what it cost."""

    bar: Bar
    scores: tuple[tuple[int, float], ...]
    epochs: int
    macs: int
    params: int


@dataclass(frozen=True)
class StudyView:
    """All that the page shows. `effects` is empty on a ladder; `missing` names trainings that have no score."""

    title: str
    heading: str
    caption: str
    subtitle: tuple[str, ...]
    rows: tuple[StudyRow, ...]
    effects: tuple[Bar, ...] = ()
    missing: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    command: str = ""
    machine: str = ""


def render_study(study: StudyView) -> tuple[str, dict[str, str]]:
    """The page as HTML that needs nothing else, and its drawings as SVG by name."""
    drawings: dict[str, Figure] = {}
    if study.rows:
        drawings["bars"] = ladder_bars([row.bar for row in study.rows])
    if study.effects:
        drawings["effects"] = effect_points(study.effects)
    drawn = {name: plot.svg(figure, key=name) for name, figure in drawings.items()}
    page = template("study.html.j2").render(
        study=study,
        verdict=_verdict(study),
        table=_table(study),
        bars=Markup(drawn.get("bars", "")),
        points=Markup(drawn.get("effects", "")),
    )
    return page, drawn


def _verdict(study: StudyView) -> Verdict | None:
    """Which steps, or factors, can be told from nothing; None where there is none to tell."""
    what = "factor" if study.effects else "step"
    steps = [(bar.name, bar.mean, bar.interval) for bar in study.effects] or [
        (row.bar.name, row.bar.gain, row.bar.gain_interval) for row in study.rows if row.bar.gain is not None
    ]
    if not steps:
        return None
    sure = [(name, worth or 0.0) for name, worth, ends in steps if ends is not None and not ends[0] <= 0 <= ends[1]]
    seeds = min(len(row.scores) for row in study.rows)
    rests = f"Each interval rests on {seeds} seed{'' if seeds == 1 else 's'}"
    if not sure:
        return Verdict(
            "unfinished", f"No {what} can be told from nothing", (f"{rests}: more seeds or epochs may tell.",)
        )
    said = "; ".join(f"{name} ({100 * worth:+.1f} points)" for name, worth in sure)
    return Verdict("met", f"{len(sure)} of {len(steps)} {what}s can be told from nothing: {said}", (f"{rests}.",))


def _table(study: StudyView) -> Table:
    rows = tuple(
        (
            row.bar.name,
            Cell(f"{100 * row.bar.mean:.2f} %", _ends(row.bar.interval, 0.0, "")),
            "–"
            if row.bar.gain is None
            else Cell(f"{100 * row.bar.gain:+.2f}", _ends(row.bar.gain_interval, -1.0, "+")),
            ", ".join(f"{seed}: {100 * score:.2f}" for seed, score in row.scores),
            str(row.epochs),
            count(row.macs),
            count(row.params),
        )
        for row in study.rows
    )
    head = ("step", "top-1", "gain", "by seed", "epochs", "MACs", "params")
    return Table("In numbers", head, rows, words=("by seed",))


def _ends(interval: tuple[float, float] | None, least: float, sign: str) -> tuple[str, ...]:
    """An interval in per cent, cut where no truth can lie: few seeds make intervals wider than all that is possible."""
    if interval is None:
        return ()
    low, high = (f"{100 * min(max(end, least), 1.0):{sign}.1f}" for end in interval)
    return (f"{low} to {high}",)
