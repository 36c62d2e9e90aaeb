"""Drawings of scaling: accuracy against cost with what a law predicts, and a rule's factors against the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..plot import BLUE, GREY, INK, ORANGE, blank, round_numbers, short
from ..units import human

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Band", "Dot", "Factors", "accuracy_front", "factor_curves"]


@dataclass(frozen=True)
class Dot:
    """One network: its cost, its top-1 as a share, and what it is: a key of `_ROLES`."""

    cost: float
    top1: float
    role: str
    interval: tuple[float, float] | None = None
    name: str = ""


@dataclass(frozen=True)
class Band:
    """What a law expects at a cost, with the ends of its interval; shares."""

    cost: float
    top1: float
    low: float
    high: float


@dataclass(frozen=True)
class Factors:
    """A rule's factors at a share of the base's cost, or those of a network that was tried (`tried`)."""

    share: float
    resolution: float
    depth: float
    width: float
    tried: bool = False


_ROLES = {
    "tried": ("tried", "o", GREY, 4.0),
    "front": ("on the front", "o", BLUE, 5.0),
    "member": ("of the rule", "s", BLUE, 5.5),
    "checked": ("held out", "D", ORANGE, 6.0),
    "published": ("published", "o", BLUE, 5.0),
    "interpolated": ("scaled, interpolated", "o", GREY, 5.0),
    "against": ("the other rule's", "^", INK, 5.5),
}


def accuracy_front(
    dots: Sequence[Dot], band: Sequence[Band] = (), *, unit: str = "MACs", named: bool = False
) -> Figure:
    """Top-1 of each network against its cost on a logarithmic axis, its role by shape, a law's prediction as a band.

    `unit` is the axis: MACs, or `ms`. Raises ValueError where there is nothing to draw.
    """
    if not dots:
        raise ValueError("no networks to draw")
    with blank(3.7) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        if band:
            x = [at.cost for at in band]
            axes.fill_between(
                x, [100 * at.low for at in band], [100 * at.high for at in band], color=BLUE, alpha=0.13, linewidth=0
            )
            axes.plot(x, [100 * at.top1 for at in band], color=BLUE, linewidth=1.1, label="law, 95 % of trainings")
        for role, (label, shape, color, size) in _ROLES.items():
            own = [dot for dot in dots if dot.role == role]
            for dot in own:
                if dot.interval is not None:
                    axes.vlines(dot.cost, 100 * dot.interval[0], 100 * dot.interval[1], color=color, linewidth=1.2)
            if own:
                axes.plot(
                    [dot.cost for dot in own],
                    [100 * dot.top1 for dot in own],
                    shape,
                    color=color,
                    markersize=size,
                    linestyle="none",
                    label=label,
                    alpha=0.9,
                )
        for dot in dots if named else ():
            axes.annotate(
                short(dot.name, 22), (dot.cost, 100 * dot.top1), xytext=(5, 3), textcoords="offset points", size=7
            )
        costs = [dot.cost for dot in dots]
        form = "{:g}" if unit == "ms" else ""
        _logarithmic(axes, min(costs) / 1.3, max(costs) * (2.2 if named else 1.3), unit, form=form)
        ends = [end for dot in dots for end in (dot.top1, *(dot.interval or ()))]
        scores = [100 * min(max(end, 0.0), 1.0) for end in ends]
        room = max(max(scores) - min(scores), 2.0)
        axes.set_ylim(min(scores) - 0.15 * room, min(max(scores) + 0.15 * room, 100.5))
        axes.set_ylabel("top-1, %")
        axes.grid(axis="y")
        if len({dot.role for dot in dots}) > 1 or band:
            figure.legend(frameon=False, fontsize=7.5, loc="outside upper left", ncols=3)
        figure.set_label(f"Top-1 of {len(dots)} networks against {unit}.")
    return figure


def factor_curves(rows: Sequence[Factors]) -> Figure:
    """A rule's resolution, depth and width against the share of the base's cost; what was tried as points beneath."""
    line = sorted((row for row in rows if not row.tried), key=lambda row: row.share)
    if not line:
        raise ValueError("no factors to draw")
    with blank(3.4) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        ends = {}
        for name, color, style in (("resolution", BLUE, "-"), ("depth", ORANGE, "--"), ("width", INK, ":")):
            tried = [row for row in rows if row.tried]
            axes.plot(
                [row.share for row in tried], [getattr(row, name) for row in tried], "o", color=color, markersize=3.5,
                alpha=0.6,
            )  # fmt: skip
            values = [getattr(row, name) for row in line]
            axes.plot([row.share for row in line], values, style, color=color, linewidth=1.4, label=name)
            ends[name] = values[0], values[-1]
        _logarithmic(axes, line[0].share / 1.1, line[-1].share * 1.1, "share of the base's MACs", form="{:.2g}")
        axes.set_ylabel("times the base's")
        axes.grid(axis="y")
        axes.legend(frameon=False, fontsize=8)
        figure.set_label(
            "Factors of the rule against the share of cost. "
            + ", ".join(f"{name} from {low:.2f} to {high:.2f}" for name, (low, high) in ends.items())
            + "."
        )
    return figure


def _logarithmic(axes: Axes, low: float, high: float, label: str, *, form: str = "") -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xlim(low, high)
    axes.set_xticks(round_numbers(low, high))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: form.format(value) if form else human(value).replace(".00", ""))
    )
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
