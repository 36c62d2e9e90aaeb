"""One page out of run folders: reads, draws, fills the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from .. import plot
from ..errors import UserError
from ..files import write_text
from . import format as form
from . import view
from .facts import RunFacts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["render", "write_report"]

# Of the megabyte a report may take, what the pictures of wrong images may use; figures and text need the rest.
_ROOM_FOR_PICTURES = 500_000


@dataclass(frozen=True)
class Figures:
    """A run's drawings as SVG; empty where there is nothing to draw."""

    stages: Markup
    training: Markup
    confusion: Markup
    latency: Markup


@dataclass(frozen=True)
class Run:
    """All that the template shows of one run."""

    facts: RunFacts
    verdict: view.Verdict
    cards: tuple[view.Card, ...]
    subtitle: tuple[str, ...]
    command: str
    recipe: tuple[tuple[str, object], ...]
    pairs: tuple[view.Pair, ...]
    pictures: tuple[view.Picture, ...]
    figures: Figures


def render(runs: Sequence[Path]) -> str:
    """The report of one run, or the comparison of several followed by each, as one HTML page that needs nothing else.

    Equal folders give equal bytes. A folder given twice is shown once. Raises UserError for what is no run folder.
    """
    folders = list({run.resolve(): run for run in runs}.values())
    if not folders:
        raise UserError("a report needs at least one run folder")
    room = _ROOM_FOR_PICTURES // len(folders)
    names = view.distinct_names(folders)
    shown = [_run(RunFacts.read(folder, name=name), room) for folder, name in zip(folders, names, strict=True)]
    return _template().render(runs=shown, scatter=_scatter(shown) if len(shown) > 1 else Markup(""))


def write_report(run: Path) -> Path:
    """Writes `report.html` into the run folder, whole or not at all, and returns its path."""
    target = run / "report.html"
    write_text(target, render([run]))
    return target


def _run(facts: RunFacts, room: int) -> Run:
    scores = facts.scores
    return Run(
        facts=facts,
        verdict=view.verdict(facts),
        cards=view.cards(facts),
        subtitle=view.subtitle(facts),
        command=view.command(facts),
        recipe=tuple(view.flat(facts.config.recipe)) if facts.config else (),
        pairs=view.confused_pairs(scores) if scores else (),
        pictures=view.pictures(scores, room) if scores else (),
        figures=_figures(facts),
    )


def _figures(facts: RunFacts) -> Figures:
    stages = [asdict(stage) for stage in facts.config.stages] if facts.config else []
    rows = [asdict(row) for row in facts.latency.rows] if facts.latency else []
    scores, name = facts.scores, facts.folder
    none = Markup("")
    return Figures(
        stages=_svg(plot.stage_costs(stages), name) if stages else none,
        training=_svg(plot.training_curves([asdict(epoch) for epoch in facts.epochs]), name) if facts.epochs else none,
        confusion=_svg(plot.confusion(scores.confusion, scores.classes), name) if scores and scores.confusion else none,
        latency=_svg(plot.latency_bars(rows), name) if rows else none,
    )


def _scatter(runs: Sequence[Run]) -> Markup:
    points = [
        {"label": str(number), "macs": run.facts.macs, "top1": scores.top1, "interval": scores.top1_interval}
        for number, run in enumerate(runs, start=1)
        if (scores := run.facts.scores) and run.facts.macs
    ]
    return _svg(plot.top1_against_macs(points), "scatter") if points else Markup("")


def _svg(figure: Figure, key: str) -> Markup:
    # Not user text: `plot.svg` serialises an element tree, which escapes whatever names stand in it.
    return Markup(plot.svg(figure, key=key))


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=form.count,
        interval=form.interval,
        megabytes=form.megabytes,
        ms=form.ms,
        percent=form.percent,
        plain=form.plain,
    )
    environment.globals.update(most_printed=plot.MOST_PRINTED)
    return environment.get_template("template.html.j2")
