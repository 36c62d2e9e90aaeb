"""One self-contained page for a file in eight bits: what these cost each block, and what the ones in float are worth."""

from __future__ import annotations

from dataclasses import replace

from .. import plot
from ..runs import BlocksInFloat
from ..scores import Metric, Unit
from ..units import plural
from .format import amount, gain, ms
from .scaling import ScalingPage, render_scaling
from .tables import Cell, Table
from .view import Verdict

__all__ = ["render_blocks"]

_ALONE = (
    "Each block by itself in eight bits, all others in float: how far what the network puts out then is from the float network's, "
    "as a share of its variance. Orange: the blocks that stay in float."
)
_CURVE = (
    "The blocks that cost most stay in float, as many as the number says; orange is the file that was written. All on the images "
    "that chose: those that the file is judged by are others."
)


def render_blocks(found: BlocksInFloat) -> str:
    """The page as HTML that needs nothing else."""
    timed = [(point.kept, point.ms, point.score) for point in found.curve if point.ms is not None]
    limit = None if found.max_drop is None else found.float_chosen.value - found.max_drop / 100
    drawings = {
        "alone": plot.blocks_alone([(block.path, block.deviation) for block in found.blocks], found.kept),
        "curve": plot.score_by_time(timed, len(found.kept), (found.float_ms, found.float_chosen), limit),
    }
    page = ScalingPage(
        title=f"{found.file}, block by block",
        subtitle=(
            f"{len(found.kept)} of {plural(len(found.blocks), 'block')} in float",
            f"calibrated by {found.calibration}",
            f"chosen on {plural(found.chosen_on, 'image')}, judged on {found.quoted_on:,} others",
        ),
        findings=(),
        verdict=_verdict(found),
        captions={"alone": _ALONE, "curve": _CURVE},
        tables=(_blocks(found), _curve(found)),
        notes=(
            "Blocks are ordered by the deviation and not by the score: what one block costs is mostly less than the interval of "
            "a score on so few images, while the deviation tells blocks apart.",
            "Blocks are tried alone. That the worst alone are the worst together is likely, and not certain: the curve shows "
            "what they are together.",
        ),
        machine=found.machine,
    )
    return render_scaling(page, drawings)[0]


def _verdict(found: BlocksInFloat) -> Verdict:
    low_high = "" if found.lost_interval is None else f" (95 % interval {_points(found, *found.lost_interval)})"
    said = f"{amount(found.score)} in eight bits, {amount(found.float_score)} in float"
    details = (
        f"Lost on {found.quoted_on:,} images that chose nothing: {_points(found, found.lost)}{low_high}",
        f"{ms(found.ms)} for an image, {ms(found.float_ms)} in float",
    )
    if found.max_drop is None:
        return Verdict("none", said, details)
    asked = f"asked for: at most {found.max_drop:g} points lost"
    return Verdict("missed" if found.over else "met", f"{said}; {asked}", (*filter(None, (found.over,)), *details))


def _points(found: BlocksInFloat, *values: float) -> str:
    """Losses in the unit of the score, a share's in points."""
    share = found.score.unit is Unit.SHARE
    unit = " points" if share else f" {found.score.unit.value}" if found.score.unit is Unit.PIXELS else ""
    return " to ".join(f"{100 * value:.2f}" if share else f"{value:.4g}" for value in values) + unit


def _change(metric: Metric, lost: float) -> str:
    """How a metric changes by what is lost, with its sign."""
    return gain(replace(metric, value=-lost if metric.more_is_better and lost else lost))


def _blocks(found: BlocksInFloat) -> Table:
    rows = tuple(
        (
            Cell(block.path, ("in float",) if block.path in found.kept else ()),
            block.what,
            f"{100 * block.deviation:.3g}",
            _change(found.score, block.lost),
        )
        for block in found.blocks
    )
    return Table(
        "Each block alone", ("block", "what it is", "deviation, %", found.score.words), rows, words=("what it is",)
    )


def _curve(found: BlocksInFloat) -> Table:
    rows = tuple(
        (
            str(point.kept),
            amount(replace(found.float_chosen, value=point.score)),
            _change(found.score, point.lost),
            "–" if point.ms is None else ms(point.ms, unit=False),
        )
        for point in found.curve
    )
    whole = ("all: the float network", amount(found.float_chosen), "", ms(found.float_ms, unit=False))
    return Table("As the worst stay in float", ("in float", found.score.words, "change", "ms"), (*rows, whole))
