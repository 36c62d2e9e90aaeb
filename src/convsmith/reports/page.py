"""One page out of run folders: reads, draws, fills the template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from .. import plot
from ..errors import UserError
from ..files import write_text
from ..scores import Metric
from . import blocks, links, view
from .facts import RunFacts
from .templates import template

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["render", "write_report"]

# Of the megabyte a report may take, what the pictures of wrong images may use; figures and text need the rest.
_ROOM_FOR_PICTURES = 500_000


@dataclass(frozen=True)
class Figures:
    """A run's drawings as SVG; empty where there is nothing to draw."""

    stages: Markup
    training: tuple[Markup, ...]
    latency: Markup


@dataclass(frozen=True)
class Run:
    """All that the template shows of one run."""

    facts: RunFacts
    verdict: view.Verdict
    quality: view.Verdict | None
    cards: tuple[view.Card, ...]
    subtitle: tuple[str, ...]
    command: str
    recipe: tuple[tuple[str, object], ...]
    beside: tuple[str, ...]
    blocks: tuple[blocks.Shown, ...]
    figures: Figures
    ring: str
    what: str  # what the data is of: image, film
    read: str  # what the network reads at once: image, clip
    names_are: str
    where: str
    samples: tuple[tuple[str, tuple[Markup, ...]], ...]
    files: tuple[links.FileLink, ...]
    usage: str


def render(runs: Sequence[Path], at: Path | None = None) -> str:
    """The report of one run, or the comparison of several followed by each, as one HTML page that needs nothing else.

    The page is to lie in the folder `at`, from where it points at the files of the runs within: in the run's own by default,
    of several beside the first. Equal folders give equal bytes. A folder given twice is shown once. Raises UserError for what
    is no run folder.
    """
    folders = list({run.resolve(): run for run in runs}.values())
    if not folders:
        raise UserError("a report needs at least one run folder")
    room = _ROOM_FOR_PICTURES // len(folders)
    names = view.distinct_names(folders)
    at = at or (folders[0] if len(folders) == 1 else folders[0].parent)
    shown = [
        _run(RunFacts.read(folder, name=name), folder, at, room) for folder, name in zip(folders, names, strict=True)
    ]
    metric, alike = _compared(shown), len({run.facts.judged_on for run in shown}) == 1
    scatter = _scatter(shown) if metric and alike and len(shown) > 1 else Markup("")
    return template("template.html.j2").render(runs=shown, metric=metric, alike=alike, scatter=scatter)


def write_report(run: Path, out: Path | None = None) -> Path:
    """Writes the report to `out`, `report.html` in the run folder by default, whole or not at all, and returns its path."""
    target = out or run / "report.html"
    write_text(target, render([run], target.parent))
    return target


def _run(facts: RunFacts, folder: Path, at: Path, room: int) -> Run:
    scores = facts.scores
    return Run(
        facts=facts,
        verdict=view.verdict(facts),
        quality=view.quality(facts),
        cards=view.cards(facts),
        subtitle=view.subtitle(facts),
        command=view.command(facts),
        recipe=tuple(view.flat(facts.config.recipe)) if facts.config else (),
        beside=view.beside(scores) if scores else (),
        blocks=tuple(blocks.shown(block, facts.folder, room) for block in scores.blocks) if scores else (),
        figures=_figures(facts),
        ring=view.ring(facts),
        what=view.what(facts),
        read=view.read(facts),
        names_are=view.names_are(facts),
        where=view.where(facts),
        samples=tuple(_samples(facts, room // 4)),
        files=links.files_of(folder, at),
        usage=links.usage(folder),
    )


def _samples(facts: RunFacts, room: int) -> Iterator[tuple[str, tuple[Markup, ...]]]:
    """Training images by class, as many as fit into `room` bytes."""
    for name, images in facts.samples.classes.items() if facts.samples else ():
        room -= sum(map(len, images))
        if room > 0 and (shown := tuple(filter(None, (blocks.shown_image(image, room) for image in images)))):
            yield name, shown


def _figures(facts: RunFacts) -> Figures:
    stages = [asdict(stage) for stage in facts.config.stages] if facts.config else []
    rows = [asdict(row) for row in facts.latency.rows] if facts.latency else []
    epochs = [{"epoch": epoch.epoch, **epoch.values} for epoch in facts.epochs]
    none, name = Markup(""), facts.folder
    training = []
    if epochs:
        # Of two that play against each other the sum of losses says nothing.
        training.append(_svg(plot.losses_apart(epochs) if facts.looks else plot.loss_curves(epochs), name))
        if facts.headline:
            training.append(_svg(plot.score_curves(epochs, facts.headline), name))
        training += [_svg(plot.score_curves(epochs, metric), name) for metric in _watched(facts)]
    if facts.looks:
        training.append(_svg(plot.looks_at_two([(one.step, one.values) for one in facts.looks]), name))
    return Figures(
        stages=_svg(plot.stage_costs(stages), name) if stages else none,
        training=tuple(training),
        latency=_svg(plot.latency_bars(rows, of=view.read(facts)), name) if rows else none,
    )


def _watched(facts: RunFacts) -> Iterator[Metric]:
    """Metrics beside the headline by which the epochs were validated, too."""
    for metric in facts.scores.metrics[1:] if facts.scores else ():
        if metric.name != "loss" and any(f"val_{metric.name}" in epoch.values for epoch in facts.epochs):
            yield metric


def _compared(runs: Sequence[Run]) -> Metric | None:
    """What all runs that were scored are judged by, as the first was; None where they are judged by several metrics."""
    found = [run.facts.scores.headline for run in runs if run.facts.scores]
    return found[0] if len({metric.name for metric in found}) == 1 else None


def _scatter(runs: Sequence[Run]) -> Markup:
    points = [
        (str(number), run.facts.macs, run.facts.scores.headline)
        for number, run in enumerate(runs, start=1)
        if run.facts.scores and run.facts.macs
    ]
    return _svg(plot.score_against_macs(points), "scatter") if points else Markup("")


def _svg(figure: Figure, key: str) -> Markup:
    # Not user text: `plot.svg` serialises an element tree, which escapes whatever names stand in it.
    return Markup(plot.svg(figure, key=key))
