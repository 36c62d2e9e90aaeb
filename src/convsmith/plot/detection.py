"""The figures of detectors: precision by recall, and what each kind of mistake costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..scores import Curve, ErrorKind
from .canvas import BLUE, INK, ORANGE, SOFT, blank, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["error_costs", "precision_recall"]


def precision_recall(curves: Sequence[Curve]) -> Figure:
    """Precision by recall, both in per cent: masks solid, boxes dashed, in blue at an overlap of 0.5 and in orange above.

    Raises ValueError where there is no curve.
    """
    if not curves:
        raise ValueError("no curves to draw")
    with blank(3.0) as figure:
        axes = figure.subplots()
        for curve in curves:
            steps = len(curve.values) - 1
            axes.plot(
                [100 * k / steps for k in range(steps + 1)],
                [100 * value for value in curve.values],
                color=BLUE if curve.name.endswith(" 0.5") else ORANGE,
                linestyle="--" if curve.name.startswith("box") else "-",
                linewidth=1.6,
                label=curve.name,
            )
        axes.set(xlabel="recall, %", ylabel="precision, %", xlim=(0, 100), ylim=(0, 103))
        axes.grid()
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderpad=0, handlelength=1.6)
        figure.set_label(f"Precision by recall: {', '.join(one.name for one in curves)}.")
    return figure


def error_costs(kinds: Sequence[ErrorKind]) -> Figure:
    """What AP at an overlap of 0.5 would gain, in points, were the mistakes of one kind mended; how many there are at the right.

    Raises ValueError where there is no kind.
    """
    if not kinds:
        raise ValueError("no kinds of mistakes to draw")
    with blank(0.8 + 0.36 * len(kinds)) as figure:
        axes = figure.subplots()
        most = max(max(100 * one.cost for one in kinds), 0.1)
        for place, one in enumerate(kinds):
            axes.barh(place, max(100 * one.cost, 0), height=0.5, color=ORANGE, alpha=0.8)
            axes.annotate(
                f"{100 * one.cost:+.1f}", (max(100 * one.cost, 0), place), xytext=(4, 0), textcoords="offset points",
                va="center", size=8, color=INK,
            )  # fmt: skip
            axes.annotate(
                f"{one.count:,}", (1, place), xycoords=("axes fraction", "data"), xytext=(5, 0),
                textcoords="offset points", va="center", size=8, color=SOFT, annotation_clip=False,
            )  # fmt: skip
        axes.set_yticks(range(len(kinds)), [short(one.name, 20) for one in kinds])
        axes.set_ylim(len(kinds) - 0.5, -0.5)
        axes.set_xlim(0, 1.2 * most)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("points of AP50 that mending it adds (right: how many)")
        axes.grid(axis="x")
        worst = max(kinds, key=lambda one: one.cost)
        figure.set_label(f"Kinds of mistakes; {worst.name} costs most, {100 * worst.cost:.1f} points of AP50.")
    return figure
