"""The figures of a file in eight bits: what these cost each block alone, and the score against time as the worst stay in float."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ..scores import Metric
from .canvas import BLUE, GREY, INK, ORANGE, axis_of, blank, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["blocks_alone", "score_by_time"]


def blocks_alone(deviations: Sequence[tuple[str, float]], kept: Collection[str]) -> Figure:
    """A bar for each block (path, deviation), in order from the top down; those that stay in float in orange.

    Raises ValueError where there is none.
    """
    if not deviations:
        raise ValueError("no blocks to draw")
    with blank(0.9 + 0.19 * len(deviations)) as figure:
        axes = figure.subplots()
        places, values = range(len(deviations)), [100 * value for _, value in deviations]
        axes.barh(places, values, height=0.7, color=[ORANGE if path in kept else BLUE for path, _ in deviations])
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{value:.2g}", (value, place), xytext=(3, 0), textcoords="offset points", va="center", size=7
            )
        axes.set_yticks(places, [short(path, 18) for path, _ in deviations])
        axes.set_ylim(len(deviations) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0, labelsize=7.5)
        axes.margins(x=0.12)
        axes.set_xlabel("deviation of what is put out, % of its variance")
        axes.grid(axis="x")
        worst = max(deviations, key=lambda one: one[1])
        figure.set_label(
            f"What eight bits cost each of {len(deviations)} blocks alone; the most {100 * worst[1]:.2g} % at {worst[0]}."
        )
    return figure


def score_by_time(
    points: Sequence[tuple[int, float, float]], chosen: int, whole: tuple[float, Metric], limit: float | None = None
) -> Figure:
    """Files (blocks in float, ms, score) as a line, the `chosen` one in orange, and the float network `whole` (ms, score) as a
    square; the score that must not be undercut, if there is one, dashed.

    Raises ValueError where there is no point.
    """
    if not points:
        raise ValueError("no points to draw")
    metric = whole[1]
    label, scale = axis_of(metric)
    with blank(3.3) as figure:
        axes = figure.subplots()
        axes.plot([ms for _, ms, _ in points], [scale * score for *_, score in points], color=BLUE, linewidth=1.0)
        for kept, ms, score in points:
            own = kept == chosen
            axes.plot(ms, scale * score, "o", color=ORANGE if own else BLUE, markersize=7 if own else 4)
            axes.annotate(
                str(kept), (ms, scale * score), xytext=(4, 4), textcoords="offset points", size=7.5,
                weight="bold" if own else "normal",
            )  # fmt: skip
        axes.plot(whole[0], scale * metric.value, "s", color=INK, markersize=5)
        axes.annotate(
            "float",
            (whole[0], scale * metric.value),
            xytext=(0, -11),
            textcoords="offset points",
            ha="center",
            size=7.5,
        )
        if limit is not None:
            axes.axhline(scale * limit, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.margins(x=0.1, y=0.15)
        axes.set(xlabel="ms per image", ylabel=label)
        axes.grid(axis="y")
        figure.set_label(
            f"{metric.title} against milliseconds of {len(points)} files in eight bits, from {points[0][0]} to "
            f"{points[-1][0]} blocks in float; {chosen} was chosen."
        )
    return figure
