"""Scores against what they cost: a line for each way to get there, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..scores import Metric
from ..units import human
from .canvas import BLUE, GREY, INK, ORANGE, axis_of, blank, logarithmic, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ScoreLine", "score_lines"]

_MARKS = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (INK, "^", ":"), (GREY, "D", "-."))


@dataclass(frozen=True)
class ScoreLine:
    """Points (cost, score) that belong together, in order of cost."""

    name: str
    points: tuple[tuple[float, Metric], ...]


def score_lines(lines: Sequence[ScoreLine], cost: str, *, form: Callable[[float], str] = human) -> Figure:
    """Every line's scores, with their intervals as whiskers, against a cost called `cost` whose ticks `form` writes.

    All scores are of one metric. Raises ValueError where there is no point.
    """
    points = [point for line in lines for point in line.points]
    if not points:
        raise ValueError("no points to draw")
    label, scale = axis_of(points[0][1])
    with blank(3.2) as figure:
        axes = figure.subplots()
        logarithmic(axes, [value for value, _ in points], form)
        for number, line in enumerate(lines):
            color, marker, style = _MARKS[number % len(_MARKS)]
            places = [(value, scale * score.value) for value, score in line.points]
            axes.plot(
                *zip(*places, strict=True),
                color=color,
                marker=marker,
                linestyle=style,
                markersize=5,
                linewidth=1.4,
                label=short(line.name, 24),
            )
            for value, score in line.points:
                if score.interval is not None:
                    low, high = score.interval
                    axes.vlines(value, scale * low, scale * high, color=color, linewidth=1, alpha=0.7)
        axes.set(xlabel=cost, ylabel=f"{label} (95 % interval)")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderpad=0, handlelength=2.4)
        figure.set_label(f"{points[0][1].title} against {cost} of {len(points)} networks on {len(lines)} lines.")
    return figure
