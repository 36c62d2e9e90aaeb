"""The page of a family: score against multiply-adds, parameters and milliseconds, a line for each rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ... import plot
from ...costs import cost
from ...files import write_json, write_text
from ...machine import this_machine
from ...plot import ScoreLine, score_lines
from ...recipes import differences
from ...reports.scaling import ScalingPage, render_scaling
from ...reports.tables import Cell, Table
from ...units import human, plural
from .family import Difference, Family, Trained

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["findings", "written"]

_WHISKERS = "Whiskers are 95 % intervals over the seeds."
_CAPTIONS = {
    "macs": f"Validation score against counted multiply-adds. {_WHISKERS}",
    "params": f"Against counted parameters. {_WHISKERS}",
    "ms": f"Against milliseconds measured on this machine, one image, one thread, in turns. {_WHISKERS}",
}


def written(made: Family, *, command: str = "") -> Path:
    """Write `study.html`, its drawings as SVG and PNG, and `study.json`; the path of the page."""
    drawings, out = _drawings(made), made.report.parent
    page, drawn = render_scaling(_page(made, command), drawings)
    for name, text in ({"study.html": page} | {f"{name}.svg": plot.alone(svg) for name, svg in drawn.items()}).items():
        write_text(out / name, text)
    for name, figure in drawings.items():
        plot.png(figure, out / f"{name}.png")
    write_json(out / "study.json", made.to_record())
    return made.report


def findings(made: Family) -> list[str]:
    """What the family says, in sentences."""
    rules = list(dict.fromkeys(one.member.rule for one in made.trained))
    lines = []
    for rule in rules:
        own = [one for one in made.trained if one.member.rule == rule]
        low, high = own[0], own[-1]
        if len(own) > 1:
            times = high.cost.macs / low.cost.macs
            gain = 100 * (high.score.value - low.score.value)
            lines.append(
                f"{rule}: {gain:+.1f} points from {low.member.budget} to {high.member.budget}, for {times:.3g} times the MACs and "
                f"{high.latency.median_ms / low.latency.median_ms:.3g} times the milliseconds."
            )
    return lines + [_said(rules[0], one) for one in made.differences]


def _said(first: str, one: Difference) -> str:
    if one.interval is None:
        return f"{one.budget}: {first} less {one.against} is {100 * one.mean:+.2f} points, of one seed: nothing tells them apart."
    low, high = (100 * max(-1.0, min(end, 1.0)) for end in one.interval)  # which Student's t does not know
    clear = "" if low > 0 or high < 0 else "; they cannot be told apart"
    return f"{one.budget}: {first} less {one.against} is {100 * one.mean:+.2f} points [{low:+.2f}, {high:+.2f}]{clear}."


def _drawings(made: Family) -> dict[str, Figure]:
    def lines(what: Callable[[Trained], float]) -> list[ScoreLine]:
        rules = list(dict.fromkeys(one.member.rule for one in made.trained))
        return [
            ScoreLine(
                rule,
                tuple(sorted(((what(one), one.score) for one in made.trained if one.member.rule == rule), key=_first)),
            )
            for rule in rules
        ]

    return {
        "macs": score_lines(lines(lambda one: one.cost.macs), "MACs"),
        "params": score_lines(lines(lambda one: one.cost.params), "parameters"),
        "ms": score_lines(lines(lambda one: one.latency.median_ms), "ms per image", form=lambda ms: f"{ms:g}"),
    }


def _first(point: tuple[float, object]) -> float:
    return point[0]


def _page(made: Family, command: str) -> ScalingPage:
    plan, seeds = made.plan, len(made.trained[0].scores)
    rows = tuple(
        (
            one.member.rule,
            one.member.budget,
            one.member.place,
            str(one.member.spec.input.px),
            human(one.cost.macs),
            human(one.cost.params),
            f"{one.latency.median_ms:.3f}",
            Cell(one.score.text, () if one.score.interval is None else (one.score.ends(" – "),)),
        )
        for one in made.trained
    )
    rules = list(dict.fromkeys(one.member.rule for one in made.trained))
    return ScalingPage(
        title=f"A family of {plan.base.name} on {plan.images.name}: {' and '.join(rules)}",
        subtitle=(
            f"{plural(len(made.trained), 'network')}, {plural(seeds, 'seed')} each",
            plural(len(plan.images.train), "training image"),
            plural(len(plan.images.val), "validation image"),
            f"{plural(plan.recipe.epochs, 'epoch')} of '{plan.recipe.name}'",
        ),
        findings=tuple(findings(made)),
        captions=_CAPTIONS,
        tables=(
            Table(
                "In numbers",
                ("rule", "budget", "place on the line", "px", "MACs", "params", "ms", made.trained[0].score.words),
                rows,
                words=("rule", "budget", "place on the line"),
                legend="Small, beneath a score: its 95 % interval over the seeds.",
            ),
        ),
        notes=(
            f"Base: {plan.base.name} at {plan.base.input.px} px, {cost(plan.base)}.",
            "Scores are of the last epoch on the validation images, which chose nothing: base, rule and budget fix the members.",
            "Each training by one thread; the outcome does not depend on how many run beside it. Milliseconds are of "
            "onnxruntime, batch 1, one thread, all members in turns.",
            *differences(plan.recipe, plan.base, images=len(plan.images.train)),
        ),
        command=command,
        machine=this_machine().line,
    )
