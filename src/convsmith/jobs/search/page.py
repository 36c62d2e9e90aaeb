"""A search's page: the front, what was handed over for each budget, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ... import plot
from ...files import write_text
from ...reports.links import within
from ...reports.scaling import ScalingPage, render_scaling
from ...reports.search import Point, beside_foils, front_of_children, learning_ends, with_cards
from ...reports.tables import Cell, Table
from ...reports.view import Verdict
from ...runs import Epoch, Fall, Front, FrontRow, Limit, Ranked, RunFolder, Scored, told_of
from ...scores import Metric, Scores, Unit, said
from ...units import human, plural
from .options import SearchOptions, space_in

__all__ = ["HandedOver", "TrainedOn", "handed_over", "missed", "said_of", "unfinished", "write_page"]


def unfinished(run: RunFolder) -> str:
    """What a search has yet to do before it can be shown, as a sentence; empty where it is finished."""
    if not run.has("front.json"):
        return f"{run.path} has not chosen its children yet: `convsmith resume {run.path}` goes on with it"
    finish = SearchOptions.of(run).finish
    for row in run.front.winners:
        for child in (run.child(row.budget), *([run.finished(row.budget)] if finish else [])):
            if not (child.has("scores.json") and child.has("latency.json")):
                return f"{run.path} has not finished {child.path}: `convsmith resume {run.path}` goes on with it"
    return ""


def write_page(run: RunFolder, out: Path | None = None) -> Path:
    """Write `report.html`, or the page `out`, and the front as `front.svg` into the search's folder; the path of the page."""
    out = out or run.file("report.html")
    found, names, epochs = run.front, _axes(run), run.epochs
    metric, axis = found.metric, found.axis
    tried = [Point(cost, score) for cost, score in found.tried]
    front = [_point(row, row.on(axis)) for row in found.front]
    winners = [_point(row, row.macs if row.cost is None else row.cost, row.budget) for row in found.winners]
    unit = f"predicted ms{SearchOptions.of(run).aim.told}" if axis == "ms" else "MACs"
    drawings = {"front": front_of_children(tried, front, winners, unit=unit, metric=metric)}
    captions = {
        "front": f"{metric.title} on the {found.n} held-out images that chose the children. Whiskers are 95 % intervals of one "
        "score; the best of many is too high by chance, so the table gives the scores on the validation images. Rest the "
        "pointer on a point of the front for its card."
        + (
            " Milliseconds are predicted here; the winners' were measured, and stand in the table."
            if axis == "ms"
            else ""
        )
    }
    if epochs:
        drawings["ends"] = learning_ends(epochs, metric)
        captions["ends"] = (
            "The two ends of the space after each epoch. Where they still rise, children are below what the same networks "
            "reach alone: train longer."
        )
    foils: dict[str, list[Point]] = {}
    for foil in run.foils:
        if not foil.failed:
            foils.setdefault(foil.against, []).append(_point(foil, foil.macs))
    shipped = handed_over(run)
    if foils:
        handed = [
            Point(one.row.macs, (own := one.scores.headline).value, own.interval, one.row.budget) for one in shipped
        ]
        drawings["foils"] = beside_foils(handed, foils, metric)
        captions["foils"] = (
            "Networks scaled to the winners' multiply-adds and trained alone, on the same images for as many epochs of the "
            "same recipe. All on the validation images, which chose nothing; whiskers are 95 % intervals of one score."
        )
    page, drawn = render_scaling(_page(run, out.parent, found, shipped, names, captions), drawings)
    carded = with_cards(drawn["front"], [_card(i, row, names) for i, row in enumerate(found.front, 1)])
    for file, text in ((out, page.replace(drawn["front"], carded)), (run.file("front.svg"), plot.alone(carded))):
        write_text(file, text)
    plot.png(drawings["front"], run.file("front.png"))
    return out


@dataclass(frozen=True)
class TrainedOn:
    """A winner that was trained on: its run folder, what that scored, and how much more its headline is worth than what was cut
    out, on the same images."""

    folder: Path
    scores: Scores
    ms: float
    gain: float

    @property
    def gain_text(self) -> str:
        """The gain as people read it: of a share in points."""
        headline = self.scores.headline
        share = headline.unit is Unit.SHARE
        return f"{100 * self.gain:+.1f} points" if share else f"{self.gain:+.3g} {headline.words}"

    def to_record(self) -> dict[str, object]:
        n = {"n": self.scores.n}
        return {"folder": str(self.folder)} | self.scores.headline.to_row() | n | {"ms": self.ms, "gain": self.gain}


@dataclass(frozen=True)
class HandedOver:
    """What a budget's winner came to as it was cut out and shipped: its run folder, and its row of the search that chose it;
    and beside that what training it on made of it, where the search was asked to."""

    row: FrontRow
    folder: Path
    scores: Scores
    ms: float
    met: Mapping[str, Limit]
    finished: TrainedOn | None = None
    runtime: str = "ort"  # that it was measured in

    def to_record(self) -> dict[str, object]:
        """An entry of `children` in the JSON of `convsmith search`."""
        metric, needs = self.scores.headline, {"macs": self.row.macs, "params": self.row.params, "ms": self.ms}
        held_out = {f"held_out_{self.row.score.name}": self.row.score.value}
        return {
            **{"budget": self.row.budget, "folder": str(self.folder)} | held_out | metric.to_row(),
            **{"n": self.scores.n} | needs | {"met": {name: limit.to_record() for name, limit in self.met.items()}},
            **({} if self.finished is None else {"finished": self.finished.to_record()}),
            "runtime": self.runtime,
        }


def handed_over(run: RunFolder) -> tuple[HandedOver, ...]:
    """One for each budget, in their order."""
    found = []
    for row in run.front.winners:
        child, done = run.child(row.budget), run.finished(row.budget)
        scores, finished = child.scores, None
        if done.has("scores.json") and done.has("latency.json"):
            gain = done.scores.headline.worth - scores.headline.worth
            finished = TrainedOn(done.path, done.scores, done.latency.rows[0].median_ms, gain)
        took = child.latency.rows[0]
        found.append(
            HandedOver(row, child.path, scores, took.median_ms, child.config.met or {}, finished, took.runtime)
        )
    return tuple(found)


def said_of(order: Ranked) -> str:
    """Whether the held-out scores order children of a winner's cost, and what follows, as a sentence."""
    what = f"two halves of the held-out images order {order.n} children of its cost with a Kendall tau of {order.text}"
    if order.sure:
        return f"{order.budget}: {what}"
    then = (
        "the cheapest of those that score as well was taken" if order.cheaper else "none that scores as well is cheaper"
    )
    return f"{order.budget}: {what}: the search cannot rank them, and {then}"


def missed(met: Mapping[str, Limit] | None) -> str:
    """How far what was shipped is over its limit of milliseconds, by the `met` of its run; empty where it is not."""
    limit = (met or {}).get("ms")
    if limit is None or limit.slack >= 0:
        return ""
    return f"as shipped it took {limit.actual:.3g} ms{limit.whose}, {-limit.slack:.1%} over its limit: the machine was not quiet"


def _page(
    run: RunFolder, at: Path, found: Front, shipped: Sequence[HandedOver], names: list[str], captions: dict[str, str]
) -> ScalingPage:
    config, recipe, how, metric = run.config, run.recipe, SearchOptions.of(run), found.metric
    rows, findings, took = [], [], "ms" if how.aimed is None else "ms, measured here"
    for one in shipped:
        row, score = one.row, one.scores.headline
        way = f"children/{run.child(row.budget).path.name}/"
        page = within(one.folder, at)
        rows.append(
            (
                row.budget,
                _told(score),
                row.score.text,
                human(row.macs),
                human(row.params),
                f"{one.ms:.3g}",
                Cell(way, href="" if page is None else f"{page}report.html"),
            )
        )
        ends = "" if score.interval is None else f" [{', '.join(said(end, score.unit, 1) for end in score.interval)}]"
        findings.append(
            f"{row.budget}: {score.words} {score.text}{ends} on {one.scores.n} validation images, "
            f"{human(row.macs)} MACs, {one.ms:.3g} ms measured after export{told_of(None, one.runtime)}"
            + (f"; {over}." if (over := missed(one.met)) else ".")
        )
    front = [
        (
            str(number),
            _told(row.score),
            human(row.macs),
            human(row.params),
            "–" if row.ms is None else f"{row.ms:.3g}",
            _short(row, names),
        )
        for number, row in enumerate(found.front, 1)
    ]
    finished = [
        (
            one.row.budget,
            _told(one.scores.headline),
            _told(one.finished.scores.headline),
            one.finished.gain_text,
            f"{one.finished.ms:.3g}",
            Cell(
                f"finished/{one.finished.folder.name}/",
                href="" if (page := within(one.finished.folder, at)) is None else f"{page}report.html",
            ),
        )
        for one in shipped
        if one.finished is not None
    ]
    against = [
        (
            f"{foil.against} for {foil.budget}",
            foil.failed or _told(foil.score),
            human(foil.macs),
            human(foil.params),
            f"{foil.resolution} px",
        )
        for foil in run.foils
    ]
    falls = sum(isinstance(line, Fall) for line in run.lines)
    return ScalingPage(
        title=f"Search on {config.data}: {', '.join(config.budgets)}",
        verdict=_verdict(shipped, run.epochs, metric),
        subtitle=(
            f"{plural(found.scored, 'child')} scored",
            plural(found.n, "held-out image"),
            f"{plural(recipe.epochs, 'epoch')} of '{recipe.name}'",
            f"space '{how.space}'",
            f"chosen by {how.select.value}",
            *([f"milliseconds{how.aim.told.removeprefix(',')}"] if how.aim.told else []),
        ),
        findings=tuple(findings),
        captions=captions,
        tables=(
            Table(
                "Handed over",
                ("budget", metric.words, "held-out", "MACs", "params", took, "folder"),
                tuple(rows),
                words=("folder",),
            ),
            *(
                [
                    Table(
                        "Trained on",
                        ("budget", f"{metric.words} cut out", "trained on", "gain", "ms", "folder"),
                        tuple(finished),
                        words=("folder",),
                        legend=f"The same children, trained on for {plural(how.finish, 'epoch')} with the biggest as their "
                        "teacher, and scored on the same validation images. What was handed over above is not changed by it.",
                    )
                ]
                if finished
                else []
            ),
            *(
                [Table("Trained alone", ("network", metric.words, "MACs", "params", "side"), tuple(against))]
                if against
                else []
            ),
            Table(
                "The front",
                ("child", f"held-out {metric.words}", "MACs", "params", "ms, predicted", "genes"),
                tuple(front),
                words=("genes",),
                legend="Genes: the side of the input; the channels of the stem; of each stage the channels x the blocks, k its "
                "kernel; the channels of the head. Small, beneath a score: its 95 % interval.",
            ),
        ),
        notes=(
            "One set of weights was trained; every child is a part of it with norm statistics of its own, trained no further"
            + (", but for those in the table of what was trained on." if finished else "."),
            f"Children were chosen by training images that were held out; {metric.words} in the first table is of the validation "
            "images, which had no part in it.",
            *(said_of(order) + "." for order in found.ranked),
            f"Training fell and was taken back {falls} times." if falls else "Training never had to be taken back.",
            f"Any child of the front: convsmith export {run.path} --child NUMBER",
        ),
        command=config.command if isinstance(config.command, str) else "",
        machine="" if config.machine is None else config.machine.line,
    )


def _told(score: Metric) -> str | Cell:
    """A score with its interval beneath."""
    return score.text if score.interval is None else Cell(score.text, (score.ends(" – "),))


def _verdict(shipped: Sequence[HandedOver], epochs: Sequence[Epoch], metric: Metric) -> Verdict:
    """Whether every budget was met, and what to know before the children are believed."""
    over = [f"{one.row.budget}: {said}" for one in shipped if (said := missed(one.met))]
    notes = []
    scores = sorted((one.scores.headline for one in shipped), key=lambda score: score.worth)
    alike = [
        one.interval is not None and other.interval is not None and other.interval[0] <= one.interval[1]
        for one, other in pairwise(scores)
    ]
    if any(alike):
        notes.append(
            f"Their {metric.words} cannot be told apart: the intervals overlap."
            if all(alike)
            else f"Not all can be told apart by {metric.words}: some intervals overlap."
        )
    ends = [own for epoch in epochs if (own := epoch.values.get(f"val_{metric.name}")) is not None]
    if len(ends) < 2 or ends[-1] > max(ends[:-1]):
        notes.append("The supernet was still learning at its last epoch: its children are below what they could be.")
    if over:
        return Verdict("missed", f"{len(over)} of {plural(len(shipped), 'budget')} missed", (*over, *notes))
    what = "The budget is met" if len(shipped) == 1 else f"The {len(shipped)} budgets are met"
    return Verdict(
        "met",
        f"{what}: {', '.join(f'{one.row.budget} at {one.scores.headline.text}' for one in shipped)}",
        tuple(notes),
    )


def _axes(run: RunFolder) -> list[str]:
    """The names of the genes, in their order."""
    stages = len(space_in(run).stages)
    own = [f"{what} {stage + 1}" for stage in range(stages) for what in ("width", "depth", "kernel", "expand")]
    return ["side", "stem", *own, "head"]


def _short(row: FrontRow, names: list[str]) -> str:
    """Side, then width x depth of each stage with its kernel."""
    genes = dict(zip(names, row.genes, strict=True))
    stages = range(1, (len(names) - 3) // 4 + 1)
    parts = [f"{genes[f'width {i}']:g}x{genes[f'depth {i}']:g}k{genes[f'kernel {i}']:g}" for i in stages]
    return f"{genes['side']:g} px: {genes['stem']:g}, {', '.join(parts)}, {genes['head']:g}"


def _card(number: int, row: FrontRow, names: list[str]) -> str:
    ms = "" if row.ms is None else f", about {row.ms:.3g} ms"
    return (
        f"child {number}: {row.score.text} held out, {human(row.macs)} MACs, {human(row.params)} params{ms}; "
        f"{_short(row, names)} (width x depth, kernel)"
    )


def _point(row: Scored, cost: float, name: str = "") -> Point:
    return Point(cost, row.score.value, row.score.interval, name)
