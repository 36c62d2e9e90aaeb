"""Drawings of studies: a ladder's rungs as bars, the effects of factors as points, both with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..plot import BLUE, GREY, INK, ORANGE, SOFT, blank, short

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

    @property
    def sure(self) -> bool:
        """Whether the interval of its gain leaves 0 out."""
        return self.gain_interval is not None and not self.gain_interval[0] <= 0 <= self.gain_interval[1]


def ladder_bars(bars: Sequence[Bar]) -> Figure:
    """Each rung's mean top-1 as a bar from the top down, its interval as a whisker, its mean and gain in points at the right.

    The axis does not begin at 0, so bars are drawn from its left end: lengths compare differences and not scores. It ends
    within 0 and 100 %, however wide an interval of few seeds is. A gain whose interval leaves 0 out is in bold ink, any other
    soft. Raises ValueError where there is no bar.
    """
    if not bars:
        raise ValueError("no bars to draw")
    ends = [min(max(end, 0.0), 1.0) for bar in bars for end in (bar.mean, *(bar.interval or ()))]
    low, high = 100 * min(ends), 100 * max(ends)
    room = max(high - low, 0.5)
    with blank(0.8 + 0.42 * len(bars)) as figure:
        axes = figure.subplots()
        left = max(0.0, low - 0.25 * room)
        for place, bar in enumerate(bars):
            mean = 100 * bar.mean
            axes.barh(place, mean - left, left=left, height=0.5, color=GREY if place == 0 else BLUE, alpha=0.75)
            if bar.interval is not None:
                axes.hlines(place, 100 * bar.interval[0], 100 * bar.interval[1], color=INK, linewidth=1.2)
            gain = "" if bar.gain is None else f"  ({100 * bar.gain:+.1f})"
            axes.annotate(
                f"{mean:.1f}{gain}",
                (1, place),
                xycoords=("axes fraction", "data"),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                size=8,
                weight="bold" if bar.sure else "normal",
                color=INK if bar.sure or bar.gain is None else SOFT,
                annotation_clip=False,
            )
        axes.set_yticks(range(len(bars)), [short(bar.name, 24) for bar in bars])
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(left, min(high + 0.05 * room, 100))
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
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, -100), min(high, 100))
        axes.set_xlabel("points of top-1 (95 % interval)")
        axes.grid(axis="x")
        figure.set_label(f"Effects of {len(bars)} contrasts on top-1.")
    return figure
