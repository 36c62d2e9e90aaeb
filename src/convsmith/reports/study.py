"""One self-contained page for a study: its bars, its numbers, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from .. import plot
from .bars import Bar, effect_points, ladder_bars
from .templates import template

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
        study=study, bars=Markup(drawn.get("bars", "")), points=Markup(drawn.get("effects", ""))
    )
    return page, drawn
