"""Drawings of a search for a layer: scores as they came, what was refused, anchor against anchor, and the layer's response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from ..plot import BLUE, GREY, INK, ORANGE, blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["anchor_against_anchor", "refusals", "response_curves", "scores_in_turn"]


def scores_in_turn(scores: Sequence[tuple[int, float]], start: float, total: int) -> Figure:
    """Mean accuracies of the layers that were kept by their numbers, the best so far as a line, the best of the start dashed."""
    if not scores:
        raise ValueError("no scores to draw")
    numbers, means = [number for number, _ in scores], [100 * mean for _, mean in scores]
    with blank(3.0) as figure:
        axes = figure.subplots()
        axes.plot(numbers, means, "o", color=GREY, markersize=2.5, linestyle="none")
        axes.step(
            [*numbers, total],
            [*accumulate(means, max), max(means)],
            where="post",
            color=BLUE,
            linewidth=1.2,
            label="best so far",
        )
        axes.axhline(100 * start, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), label="best of the start")
        axes.set(xlabel="layers tried", ylabel="held-out top-1, mean, %")
        axes.grid(axis="y")
        figure.legend(frameon=False, fontsize=7.5, loc="outside upper left", ncols=2)
        figure.set_label(f"Scores of the {len(scores)} layers that were kept of {total} tried.")
    return figure


def refusals(drawn: Mapping[str, int], tried: Mapping[str, int]) -> Figure:
    """Bars of how many drawings ended as what without a network, and below them how many that were tried in one."""
    rows = [(name, n, GREY) for name, n in sorted(drawn.items(), key=lambda row: -row[1])]
    rows += [(name, n, BLUE) for name, n in sorted(tried.items(), key=lambda row: -row[1])]
    if not rows:
        raise ValueError("nothing to draw")
    names, counts, colours = zip(*reversed(rows), strict=True)
    with blank(0.7 + 0.21 * len(rows)) as figure:
        axes = figure.subplots()
        axes.barh(range(len(rows)), counts, color=colours, height=0.7)
        axes.set_yticks(range(len(rows)), names)
        for at, n in enumerate(counts):
            axes.annotate(f"{n:,}", (n, at), xytext=(3, 0), textcoords="offset points", va="center", size=7)
        axes.margins(x=0.12)
        axes.set_xlabel("layers")
        figure.set_label(
            f"What became of {sum(drawn.values()):,} drawings, and of {sum(tried.values()):,} layers in networks."
        )
    return figure


def anchor_against_anchor(
    scores: Sequence[tuple[float, float]], front: Sequence[int], marked: Mapping[str, int], names: tuple[str, str]
) -> Figure:
    """Accuracies in two anchors of all layers that were kept; those on the front over all anchors filled, some by name."""
    if not scores:
        raise ValueError("no scores to draw")
    points = [(100 * a, 100 * b) for a, b in scores]
    with blank(3.4) as figure:
        axes = figure.subplots()
        axes.plot(*zip(*points, strict=True), "o", color=GREY, markersize=3, alpha=0.6, linestyle="none", label="kept")
        axes.plot(
            *zip(*(points[i] for i in front), strict=True), "o", color=BLUE, markersize=5, linestyle="none",
            label="dominated by none",
        )  # fmt: skip
        for at in dict.fromkeys(marked.values()):
            name = ", ".join(name for name, own in marked.items() if own == at)
            axes.plot(*points[at], "o", color=ORANGE, markersize=8, markerfacecolor="none", linestyle="none")
            axes.annotate(name, points[at], xytext=(6, 5), textcoords="offset points", size=7)
        axes.set(xlabel=f"{names[0]}, top-1 %", ylabel=f"{names[1]}, top-1 %")
        axes.grid()
        figure.legend(frameon=False, fontsize=7.5, loc="outside upper left", ncols=2)
        figure.set_label(f"Held-out top-1 of {len(scores)} layers in {names[1]} against {names[0]}.")
    return figure


def response_curves(curves: Mapping[float, Sequence[tuple[float, float]]]) -> Figure:
    """What a layer puts out for what comes in, at several standard deviations of the input, in which that is drawn."""
    if not curves:
        raise ValueError("no curves to draw")
    with blank(3.0) as figure:
        axes = figure.subplots()
        for (scale, points), colour in zip(curves.items(), (GREY, BLUE, ORANGE, INK), strict=False):
            axes.plot(
                [x / scale for x, _ in points],
                [y for _, y in points],
                color=colour,
                linewidth=1.3,
                label=f"deviation {scale:g}",
            )
        axes.set(xlabel="input, in deviations", ylabel="output")
        axes.grid()
        figure.legend(frameon=False, fontsize=7.5, loc="outside upper left", ncols=len(curves))
        figure.set_label(f"Response of the layer to inputs of {len(curves)} scales.")
    return figure
