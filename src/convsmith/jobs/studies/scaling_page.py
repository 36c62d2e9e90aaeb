"""The page and files of a scaling study: `study.html`, `rule.json`, `study.json` and the drawings as SVG and PNG."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ... import plot
from ...costs import cost
from ...files import write_text
from ...machine import this_machine
from ...reports.fronts import Band, Dot, Factors, accuracy_front, factor_curves
from ...reports.scaling import ScalingPage, render_scaling
from ...reports.tables import Cell, Table
from ...reports.view import Verdict
from ...scaling import Compound, Tiny, fronts, rule_to_json
from ...units import human, plural
from .scaling import Fitted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["findings", "written"]

WIDE = 0.1  # a prediction's interval, from end to end, in shares of the images


def written(study: Fitted, out: Path, *, command: str = "", workers: int = 1) -> Path:
    """Write the study's files into `out`; the path of its page."""
    drawings = _drawings(study)
    captions = {
        "front": "Validation top-1 against counted multiply-adds. Whiskers are 95 % intervals over seeds; the band holds 95 % "
        "of single trainings if the law holds.",
        "factors": "The fitted rule (lines) and the networks on the front that it was fitted to (points).",
    }
    page, drawn = render_scaling(_page(study, {n: captions[n] for n in drawings}, command, workers), drawings)
    texts = {"study.html": page, "rule.json": rule_to_json(study.rule), "study.json": _json(study)}
    for name, text in (texts | {f"{name}.svg": plot.alone(svg) for name, svg in drawn.items()}).items():
        write_text(out / name, text)
    for name, figure in drawings.items():
        plot.png(figure, out / f"{name}.png")
    return out / "study.html"


def findings(study: Fitted) -> list[str]:
    """What the study says, in sentences."""
    lines = []
    if isinstance(study.rule, Compound):
        rule = study.rule
        lines.append(
            f"Best triple: alpha {rule.alpha:g} (depth), beta {rule.beta:g} (width), gamma {rule.gamma:g} (resolution)."
        )
        tried = sorted((arm for arm in study.arms if arm.role == "tried"), key=lambda arm: -arm.mean)
        if tried[0].interval is None:
            lines.append("One seed has no interval: none of the triples can be told from another. Give --seeds 3.")
        else:
            low = tried[0].interval[0]
            near = [arm for arm in tried[1:] if arm.interval is not None and arm.interval[1] >= low]
            lines.append(
                f"{len(near)} of the other {len(tried) - 1} triples cannot be told from it: their intervals over "
                f"{len(tried[0].scores)} seeds overlap."
            )
    else:
        shown = "; ".join(study.rule.describe(c) for c in (0.5, 0.25, 0.1))
        lines.append(f"The rule at half, a quarter and a tenth of the base's cost: {shown}.")
    if study.law is not None:
        scatter = f"a scatter of {100 * (math.exp(study.law.scatter) - 1):.0f} % of the error between trainings"
        if study.law.slope < 0:
            lines.append(f"Law: the error falls as MACs to the power {study.law.slope:.3f}, with {scatter}.")
        else:
            lines.append(
                f"No law: the error does not fall with cost, with {scatter}. Train longer, or with more seeds."
            )
    if any(check.high - check.low > WIDE for check in study.checks):
        lines.append(
            "The predictions' intervals are wider than 10 points: more epochs or seeds are needed to use them."
        )
    for check in study.checks:
        inside = "inside" if check.low <= check.found <= check.high else "outside"
        lines.append(
            f"Held out at {check.share:.3g} of the base's cost ({human(check.macs)} MACs): predicted {check.predicted:.2%} "
            f"[{check.low:.1%}, {check.high:.1%}], found {check.found:.2%}: {100 * check.error:+.2f} points, {inside}."
        )
    for one in study.differences:
        ends = "one seed, no interval"
        if one.interval is not None:
            ends = f"[{100 * one.interval[0]:+.2f}, {100 * one.interval[1]:+.2f}]"
        clear = one.interval is not None and (one.interval[0] > 0 or one.interval[1] < 0)
        verdict = "" if clear else "; cannot be told from zero"
        # A few in a hundred of the cost are what stairs leave; more is no comparison at equal cost.
        fair = "" if 0.95 <= one.ratio <= 1.02 else "; not at equal cost, so it settles nothing"
        lines.append(
            f"Against {one.against} at {one.share:.3g} of the base's cost, with {one.ratio:.2f} times its MACs: "
            f"{100 * one.mean:+.2f} points {ends}{verdict}{fair}."
        )
    return lines


def _drawings(study: Fitted) -> dict[str, Figure]:
    best = set()
    if study.points:
        kept = fronts([p.share for p in study.points], [p.accuracy for p in study.points], study.plan.front)
        best = {(study.points[i].share, study.points[i].accuracy) for i in kept}
    base = cost(study.plan.base).macs
    dots = []
    for arm in study.arms:
        on_front = arm.role == "tried" and (arm.cost.macs / base, arm.mean) in best
        interval = None if arm.role == "tried" else arm.interval
        dots.append(Dot(arm.cost.macs, arm.mean, "front" if on_front else arm.role, interval, arm.name))
    band = []
    if study.law is not None:
        own = [arm.cost.macs for arm in study.arms if arm.role in ("member", "checked")]
        for step in range(41):
            macs = min(own) * (max(own) / min(own)) ** (step / 40)
            band.append(Band(macs, *study.law.at(macs)))
    drawings = {"front": accuracy_front(dots, band)}
    if isinstance(study.rule, Tiny):
        kept_points = [p for p in study.points if (p.share, p.accuracy) in best]
        tried = [Factors(p.share, p.resolution, p.depth, p.width, tried=True) for p in kept_points]
        drawings["factors"] = factor_curves([*tried, *_line(study)])
    return drawings


def _line(study: Fitted) -> list[Factors]:
    assert isinstance(study.rule, Tiny)
    base, made = study.plan.base, []
    for step in range(17):
        c = 0.05 ** (1 - step / 16) * 0.99
        spec = study.rule(base, c)
        # The width that a member really has: its stages' mean channels against the base's.
        width = math.exp(
            sum(math.log(a.width / b.width) for a, b in zip(spec.stages, base.stages, strict=True)) / len(base.stages)
        )
        resolution, depth = study.rule.factors(c)
        made.append(Factors(cost(spec).macs / cost(base).macs, resolution, depth, width))
    return made


def _page(study: Fitted, captions: dict[str, str], command: str, workers: int) -> ScalingPage:
    plan = study.plan
    seeds = plural(1 if plan.rule == "tiny" else plan.seeds, "seed")
    rows = [
        (
            arm.name,
            arm.role,
            f"{arm.spec.input.resolution}",
            f"{arm.spec.depth}",
            human(arm.cost.macs),
            human(arm.cost.params),
            f"{arm.mean:.2%}"
            if arm.interval is None
            else Cell(
                f"{arm.mean:.2%}", (f"{100 * max(arm.interval[0], 0):.1f} – {100 * min(arm.interval[1], 1):.1f}",)
            ),
        )
        for arm in study.arms
    ]
    return ScalingPage(
        title=f"Scaling {plan.base.name} on {study.images.name}: the {plan.rule} rule",
        subtitle=(
            f"{sum(arm.role == 'tried' for arm in study.arms)} networks tried, {seeds} each",
            f"{len(study.images.train)} training images",
            f"{len(study.images.val)} validation images",
            f"{plural(plan.recipe.epochs, 'epoch')} of '{plan.recipe.name}'",
        ),
        verdict=_verdict(study),
        findings=tuple(findings(study)),
        captions=captions,
        tables=(
            Table(
                "In numbers",
                ("network", "role", "px", "blocks", "MACs", "params", "top-1"),
                tuple(rows),
                words=("role",),
                legend="Small, beneath a score: its 95 % interval over the seeds.",
            ),
        ),
        failures=study.failures,
        notes=(
            f"Base: {plan.base.name}, {plan.base.input.resolution} px, {cost(plan.base)}.",
            "Scores are of the last epoch on the validation images. The same images choose the front and score it, so a tried "
            "network on the front flatters itself; members of the rule and held-out ones were trained after the rule was fixed.",
            f"Each training by one thread, {workers} beside each other; the outcome does not depend on how many.",
            "Use the rule: convsmith scale MODEL --to BUDGET --rule rule.json",
        ),
        command=command,
        machine=this_machine().line,
    )


def _verdict(study: Fitted) -> Verdict:
    """Whether the rule's law predicts what was held out: what a reader may do with the rule."""
    law, checks = study.law, study.checks
    if law is None:
        return Verdict("none", "A rule was fitted; no law says how the error falls with cost")
    if law.slope >= 0:
        return Verdict("missed", "No law: the error does not fall with cost, so the rule predicts nothing")
    inside = sum(check.low <= check.found <= check.high for check in checks)
    said = f"The law predicted {inside} of {len(checks)} held-out networks within its 95 % interval"
    if inside < len(checks):
        return Verdict("missed", said)
    if any(check.high - check.low > WIDE for check in checks):
        return Verdict("unfinished", said, ("The intervals are wide: more epochs or seeds are needed to use them.",))
    return Verdict("met", said)


def _json(study: Fitted) -> str:
    return json.dumps(study.to_record() | {"findings": findings(study)}, indent=1) + "\n"
