"""The signal propagation plot: what each block does to variance and mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..plot import BLUE, GREY, INK, ORANGE, SOFT, blank, short
from ..signal import Expectation, Point, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["signal_plot"]

_COLOURS = (BLUE, ORANGE, INK, GREY)
_FLOOR = 1e-12


def signal_plot(traces: Sequence[Trace], theory: Sequence[Expectation] | None = None) -> Figure:
    """Three panels over the blocks, all logarithmic, as in Brock et al. (2021), figures 1 and 2: the average channel
    squared mean, the average channel variance, and the variance of each residual branch.

    Each trace is a line; `theory`, where there is one, a dashed line in grey. A band spans the draws. Numbers of zero are
    left out, which a logarithmic axis cannot show. Raises ValueError where there is no trace.
    """
    if not traces:
        raise ValueError("no trace to draw")
    branches = any(point.branch > 0 for trace in traces for point in trace.points)
    with blank(2.1 * (3 if branches else 2) + 0.5) as figure:
        panels = figure.subplots(3 if branches else 2, 1, sharex=True)
        titles = ["squared mean", "variance", "variance of the branch"][: len(panels)]
        for axes, title, at in zip(panels, titles, range(3), strict=False):
            axes.set_yscale("log")
            axes.set_title(title, loc="left")
            axes.grid(axis="y")
            for trace, colour in zip(traces, _COLOURS, strict=False):
                _line(axes, trace.points, at, colour, trace.name)
            if theory is not None:
                _theory(axes, theory, at)
            _decades(axes)
        panels[-1].set_xlabel("residual block" if traces[0].merges else "convolution")
        if len(traces) > 1 or theory is not None:
            handles, labels = panels[1].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
        names = " and ".join(trace.name for trace in traces)
        last = traces[-1].points[-1].out
        figure.set_label(
            f"Signal propagation of {names}: after the last block the variance of {traces[-1].name} is {last.var:.3g} and "
            f"its squared mean {last.sqmean:.3g}"
        )
    return figure


def _line(axes: Axes, points: Sequence[Point], at: int, colour: str, name: str) -> None:
    values = [(point.index, (point.out.sqmean, point.out.var, point.branch)[at]) for point in points]
    shown = [(x, y) for x, y in values if math.isfinite(y) and y > _FLOOR]
    if not shown:
        axes.text(0.5, 0.5, "zero everywhere", transform=axes.transAxes, ha="center", va="center", color=SOFT)
        return
    marker = "o" if len(shown) < 40 else None
    axes.plot(
        *zip(*shown, strict=True), color=colour, marker=marker, markersize=3, linewidth=1.4, label=short(name, 34)
    )
    if at == 1 and all(point.low > _FLOOR for point in points):
        x = [point.index for point in points]
        axes.fill_between(x, [p.low for p in points], [p.high for p in points], color=colour, alpha=0.15, linewidth=0)


def _theory(axes: Axes, theory: Sequence[Expectation], at: int) -> None:
    values = [(index, (one.sqmean, one.var, one.branch)[at]) for index, one in enumerate(theory, start=1)]
    if at == 1 and all(math.isnan(y) for _, y in values):
        values = [(index, one.energy) for index, one in enumerate(theory, start=1)]
    shown = [(x, y) for x, y in values if y > _FLOOR]
    if shown:
        axes.plot(*zip(*shown, strict=True), color=GREY, linestyle=(0, (4, 2)), linewidth=1.2, label="theory", zorder=1)


def _decades(axes: Axes) -> None:
    """Ticks that can be read: without a decade in sight, a logarithmic axis has none of its own."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_ylim()
    if high / low < 10:
        middle = math.sqrt(low * high)
        low, high = min(low, middle / 3.3), max(high, middle * 3.3)
        axes.set_ylim(low, high)
    few = math.log10(high / low) < 3
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
