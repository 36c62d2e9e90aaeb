"""Drawings of a search: the front of the children that were scored, and how the supernet's two ends learnt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ..plot import BLUE, GREY, INK, ORANGE, axis_of, blank
from ..runs import Epoch
from ..scores import Metric
from ..units import plural
from .fronts import _logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Point", "beside_foils", "front_of_children", "learning_ends", "with_cards"]


@dataclass(frozen=True)
class Point:
    """A child: what it costs, its score with the ends of an interval, and a name or nothing."""

    cost: float
    score: float
    interval: tuple[float, float] | None = None
    name: str = ""


def front_of_children(
    tried: Sequence[Point], front: Sequence[Point], winners: Sequence[Point], *, metric: Metric, unit: str = "MACs"
) -> Figure:
    """Held-out scores of `metric` against cost in `unit`: all that were scored, the front with intervals, the budgets' children.

    The front's points have the ids `child-1`, `child-2`, ... for `with_cards`.
    """
    if not front:
        raise ValueError("no children to draw")
    label, scale = axis_of(metric)
    with blank(3.7) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.plot(
            [one.cost for one in tried], [scale * one.score for one in tried], "o", color=GREY, markersize=2.5, alpha=0.5,
            linestyle="none", label="scored",
        )  # fmt: skip
        axes.plot([one.cost for one in front], [scale * one.score for one in front], color=BLUE, linewidth=1.0)
        for number, one in enumerate(front, 1):
            if one.interval is not None:
                axes.vlines(
                    one.cost, scale * one.interval[0], scale * one.interval[1], color=BLUE, linewidth=0.8, alpha=0.6
                )
            axes.plot(
                [one.cost], [scale * one.score], "o", color=BLUE, markersize=5, gid=f"child-{number}",
                label="front" if number == 1 else None,
            )  # fmt: skip
        axes.plot(
            [one.cost for one in winners], [scale * one.score for one in winners], "s", color=ORANGE, markersize=8,
            markerfacecolor="none", linestyle="none", label="winners",
        )  # fmt: skip
        at: dict[tuple[float, float], list[str]] = {}
        for one in winners:  # several budgets may have been handed the same child
            at.setdefault((one.cost, scale * one.score), []).append(one.name)
        costs = [one.cost for one in (*tried, *front)]
        _logarithmic(axes, min(costs) / 1.2, max(costs) * 1.3, unit, form="{:.3g}" if unit.endswith("ms") else "")
        drawn = [(one.cost, scale * one.score) for one in (*tried, *front)]
        for place, names in at.items():
            _label(axes, ", ".join(names), place, drawn)
        axes.set_ylabel(f"held-out {label}")
        axes.grid(axis="y")
        figure.legend(frameon=False, fontsize=7.5, loc="outside upper left", ncols=3)
        figure.set_label(
            f"{metric.title} on held-out images of {plural(len(tried), 'child')} against {unit}, {len(front)} of them on the "
            "front."
        )
    return figure


# Where a label may stand about its point: its offset in points, and which of its sides is at the point.
_SIDES = ((7, 8, "left"), (7, -11, "left"), (-7, 8, "right"), (-7, -11, "right"), (7, 22, "left"), (-7, 22, "right"))


def _label(axes: Axes, text: str, place: tuple[float, float], points: Sequence[tuple[float, float]]) -> None:
    """Writes `text` beside `place`, on the side where it covers the fewest of `points`."""
    axes.autoscale_view()
    to_panel = axes.transScale + axes.transLimits
    # In points of the page, by a panel of about this size.
    marks = 255 * to_panel.transform(points)[:, 0], 190 * to_panel.transform(points)[:, 1]
    x, y = to_panel.transform(place) * (255, 190)
    wide, high = 4.2 * len(text), 8.0

    def covered(side: tuple[int, int, str]) -> int:
        right, up, end = side
        left = x + right - (wide if end == "right" else 0)
        inside = (
            (left - 3 < marks[0]) & (marks[0] < left + wide + 3) & (y + up - 4 < marks[1]) & (marks[1] < y + up + high)
        )
        return int(inside.sum()) + 100 * (not 0 <= left <= 255 - wide) + 100 * (not 0 <= y + up <= 185)

    right, up, end = min(_SIDES, key=covered)
    axes.annotate(text, place, xytext=(right, up), textcoords="offset points", ha=end, size=7)


def beside_foils(winners: Sequence[Point], foils: Mapping[str, Sequence[Point]], metric: Metric) -> Figure:
    """Validation scores of `metric` against multiply-adds: what was handed over, and networks of that cost trained alone."""
    if not winners:
        raise ValueError("no children to draw")
    label, scale = axis_of(metric)
    with blank(3.2) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        lines = {"cut out of the supernet": (winners, ORANGE, "s")}
        for (name, points), color, marker in zip(foils.items(), (BLUE, INK, GREY) * 3, "oD^" * 3, strict=False):
            lines[f"{name}, alone"] = (points, color, marker)
        for name, (points, color, marker) in lines.items():
            points = sorted(points, key=lambda one: one.cost)
            axes.plot(
                [one.cost for one in points], [scale * one.score for one in points], marker + "-", color=color, markersize=5,
                linewidth=0.9, label=name,
            )  # fmt: skip
            for one in points:
                if one.interval is not None:
                    low, high = one.interval
                    axes.vlines(one.cost, scale * low, scale * high, color=color, linewidth=0.8, alpha=0.6)
        costs = [one.cost for points, *_ in lines.values() for one in points]
        _logarithmic(axes, min(costs) / 1.2, max(costs) * 1.3, "MACs")
        axes.set_ylabel(f"validation {label}")
        axes.grid(axis="y")
        figure.legend(frameon=False, fontsize=7.5, loc="outside upper left", ncols=2)
        figure.set_label(
            f"{metric.title} on validation images against MACs: children, and networks of their cost trained alone."
        )
    return figure


def learning_ends(epochs: Sequence[Epoch], metric: Metric) -> Figure:
    """Held-out scores of `metric` of the smallest and the biggest child after each epoch: flat ends say that it has trained
    enough."""
    if not epochs:
        raise ValueError("no epochs to draw")
    label, scale = axis_of(metric)
    with blank(3.0) as figure:
        axes = figure.subplots()
        for part, name, color, style in (("val", "biggest", BLUE, "-"), ("smallest", "smallest", INK, "--")):
            points = [
                (row.epoch, scale * own)
                for row in epochs
                if (own := row.values.get(f"{part}_{metric.name}")) is not None
            ]
            if points:
                dots = "o" if len(points) < 4 else None
                axes.plot(
                    *zip(*points, strict=True), style, color=color, linewidth=1.3, label=name, marker=dots, markersize=3
                )
        axes.set_xlabel("epoch")
        if len(epochs) == 1:
            axes.set_xticks([epochs[0].epoch])
        else:
            axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        axes.set_ylabel(f"held-out {label}")
        axes.grid(axis="y")
        axes.legend(frameon=False, fontsize=8)
        figure.set_label(f"{metric.title} of the smallest and the biggest child on held-out images after each epoch.")
    return figure


def with_cards(svg: str, cards: Sequence[str]) -> str:
    """The drawing of `front_of_children` with a card for each point of the front, shown where the pointer rests."""
    for number, card in enumerate(cards, 1):
        svg = re.sub(
            rf'(<g id="[^"]*child-{number}"[^>]*>)',
            lambda found, card=card: f"{found[1]}<title>{escape(card)}</title>",  # type: ignore[misc]
            svg,
            count=1,
        )
    return svg
