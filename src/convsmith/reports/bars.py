"""Drawings of studies: a ladder's rungs as bars, the effects of factors as points, both with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..plot import BLUE, GREY, INK, ORANGE, blank, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Bar", "effect_points", "ladder_bars"]

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Bar:
    """A name, a mean with its interval, and what it adds to the one before; shares, not per cent."""

    name: str
    mean: float
    interval: Interval = None
    gain: float | None = None
    gain_interval: Interval = None


def ladder_bars(bars: Sequence[Bar]) -> Figure:
    """Each rung's mean top-1 as a bar from the top down, its interval as a whisker, its gain in points beside it.

    The axis does not begin at 0, so bars are drawn from its left end: lengths compare differences and not scores. A gain
    whose interval leaves 0 out is in ink, any other in grey. Raises ValueError where there is no bar.
    """
    if not bars:
        raise ValueError("no bars to draw")
    ends = [end for bar in bars for end in (bar.interval or (bar.mean, bar.mean))]
    low, high = 100 * min(*ends, *(bar.mean for bar in bars)), 100 * max(ends)
    room = max(high - low, 0.5)
    with blank(0.8 + 0.42 * len(bars)) as figure:
        axes = figure.subplots()
        left = max(0.0, low - 0.25 * room)
        for place, bar in enumerate(bars):
            mean = 100 * bar.mean
            axes.barh(place, mean - left, left=left, height=0.5, color=GREY if place == 0 else BLUE, alpha=0.75)
            if bar.interval is not None:
                axes.hlines(place, 100 * bar.interval[0], 100 * bar.interval[1], color=INK, linewidth=1.2)
            sure = bar.gain_interval is not None and not bar.gain_interval[0] <= 0 <= bar.gain_interval[1]
            gain = "" if bar.gain is None else f"  ({100 * bar.gain:+.1f})"
            right = 100 * bar.interval[1] if bar.interval else mean
            axes.annotate(
                f"{mean:.1f}{gain}",
                (max(mean, right), place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                size=8,
                color=INK if sure or bar.gain is None else GREY,
            )
        axes.set_yticks(range(len(bars)), [short(bar.name, 24) for bar in bars])
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(left, high + 0.45 * room)
        axes.set_xlabel("top-1, % (95 % interval; gain over the step before)")
        axes.grid(axis="x")
        figure.set_label(
            f"Top-1 of {len(bars)} steps, from {100 * bars[0].mean:.1f} % at {bars[0].name} "
            f"to {100 * bars[-1].mean:.1f} % at {bars[-1].name}."
        )
    return figure


def effect_points(bars: Sequence[Bar]) -> Figure:
    """What each factor and each meeting of factors is worth in points, about a line at 0. Raises ValueError for none."""
    if not bars:
        raise ValueError("no effects to draw")
    with blank(0.8 + 0.36 * len(bars)) as figure:
        axes = figure.subplots()
        axes.axvline(0, color=GREY, linewidth=0.8)
        for place, bar in enumerate(bars):
            if bar.interval is not None:
                axes.hlines(place, 100 * bar.interval[0], 100 * bar.interval[1], color=INK, linewidth=1.2)
            axes.plot(100 * bar.mean, place, "o", color=ORANGE if " x " in bar.name else BLUE, markersize=6)
            axes.annotate(
                f"{100 * bar.mean:+.1f}",
                (100 * bar.mean, place),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                size=7.5,
            )
        axes.set_yticks(range(len(bars)), [short(bar.name.replace(" x ", " × "), 40) for bar in bars])
        axes.set_ylim(len(bars) - 0.4, -0.7)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.12)
        axes.set_xlabel("points of top-1 (95 % interval)")
        axes.grid(axis="x")
        figure.set_label(f"Effects of {len(bars)} contrasts on top-1.")
    return figure
