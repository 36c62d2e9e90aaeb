"""Drawings of a search: the front of the children that were scored, and how the supernet's two ends learnt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ..plot import BLUE, GREY, INK, ORANGE, blank
from .fronts import _logarithmic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Point", "beside_foils", "front_of_children", "learning_ends", "with_cards"]


@dataclass(frozen=True)
class Point:
    """A child: what it costs, its top-1 as a share with the ends of an interval, and a name or nothing."""

    cost: float
    top1: float
    interval: tuple[float, float] | None = None
    name: str = ""


def front_of_children(
    tried: Sequence[Point], front: Sequence[Point], winners: Sequence[Point], *, unit: str = "MACs"
) -> Figure:
    """Held-out top-1 against cost in `unit`: all that were scored, the front with intervals, the budgets' children.

    The front's points have the ids `child-1`, `child-2`, ... for `with_cards`.
    """
    if not front:
        raise ValueError("no children to draw")
    with blank(3.7) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.plot(
            [one.cost for one in tried], [100 * one.top1 for one in tried], "o", color=GREY, markersize=2.5, alpha=0.5,
            linestyle="none", label="scored",
        )  # fmt: skip
        axes.plot([one.cost for one in front], [100 * one.top1 for one in front], color=BLUE, linewidth=1.0)
        for number, one in enumerate(front, 1):
            if one.interval is not None:
                axes.vlines(
                    one.cost, 100 * one.interval[0], 100 * one.interval[1], color=BLUE, linewidth=0.8, alpha=0.6
                )
            axes.plot(
                [one.cost], [100 * one.top1], "o", color=BLUE, markersize=5, gid=f"child-{number}",
                label="front" if number == 1 else None,
            )  # fmt: skip
        axes.plot(
            [one.cost for one in winners], [100 * one.top1 for one in winners], "s", color=ORANGE, markersize=8,
            markerfacecolor="none", linestyle="none", label="handed over",
        )  # fmt: skip
        at: dict[tuple[float, float], list[str]] = {}
        for one in winners:  # several budgets may have been handed the same child
            at.setdefault((one.cost, 100 * one.top1), []).append(one.name)
        for place, names in at.items():
            axes.annotate(", ".join(names), place, xytext=(4, -11), textcoords="offset points", size=7)
        costs = [one.cost for one in (*tried, *front)]
        _logarithmic(axes, min(costs) / 1.2, max(costs) * 1.3, unit, form="{:.3g}" if unit.endswith("ms") else "")
        axes.set_ylabel("held-out top-1, %")
        axes.grid(axis="y")
        figure.legend(frameon=False, fontsize=7.5, loc="outside upper left", ncols=3)
        figure.set_label(
            f"Top-1 on held-out images of {len(tried)} children against {unit}, {len(front)} of them on the front."
        )
    return figure


def beside_foils(winners: Sequence[Point], foils: Mapping[str, Sequence[Point]]) -> Figure:
    """Validation top-1 against multiply-adds: what was handed over, and networks of the same cost that were trained alone."""
    if not winners:
        raise ValueError("no children to draw")
    with blank(3.2) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        lines = {"cut out of the supernet": (winners, ORANGE, "s")}
        for (name, points), color, marker in zip(foils.items(), (BLUE, INK, GREY) * 3, "oD^" * 3, strict=False):
            lines[f"{name}, alone"] = (points, color, marker)
        for name, (points, color, marker) in lines.items():
            points = sorted(points, key=lambda one: one.cost)
            axes.plot(
                [one.cost for one in points], [100 * one.top1 for one in points], marker + "-", color=color, markersize=5,
                linewidth=0.9, label=name,
            )  # fmt: skip
            for one in points:
                if one.interval is not None:
                    low, high = one.interval
                    axes.vlines(one.cost, 100 * low, 100 * high, color=color, linewidth=0.8, alpha=0.6)
        costs = [one.cost for points, *_ in lines.values() for one in points]
        _logarithmic(axes, min(costs) / 1.2, max(costs) * 1.3, "MACs")
        axes.set_ylabel("validation top-1, %")
        axes.grid(axis="y")
        figure.legend(frameon=False, fontsize=7.5, loc="outside upper left", ncols=2)
        figure.set_label("Top-1 on validation images against MACs: children, and networks of their cost trained alone.")
    return figure


def learning_ends(epochs: Sequence[Mapping[str, float]]) -> Figure:
    """Held-out top-1 of the smallest and the biggest child after each epoch: flat ends say that it has trained enough."""
    if not epochs:
        raise ValueError("no epochs to draw")
    with blank(3.0) as figure:
        axes = figure.subplots()
        x = [row["epoch"] for row in epochs]
        for key, name, color, style in (("val_top1", "biggest", BLUE, "-"), ("smallest_top1", "smallest", INK, "--")):
            axes.plot(x, [100 * row[key] for row in epochs], style, color=color, linewidth=1.3, label=name)
        axes.set_xlabel("epoch")
        axes.set_ylabel("held-out top-1, %")
        axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        axes.grid(axis="y")
        axes.legend(frameon=False, fontsize=8)
        figure.set_label("Top-1 of the smallest and the biggest child on held-out images after each epoch.")
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
