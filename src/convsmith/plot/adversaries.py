"""The figures of two networks that play against each other: their losses apart, and what looks at them saw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .canvas import BLUE, GREY, INK, ORANGE, blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["looks_at_two", "losses_apart"]

_APART = "train_loss_"


def losses_apart(epochs: Sequence[Mapping[str, Any]]) -> Figure:
    """What the training loss is the sum of, by epoch: of every `train_loss_NAME` a line. Raises ValueError where there is none."""
    names = [key for key in epochs[0] if key.startswith(_APART)] if epochs else []
    if not names:
        raise ValueError("no losses to draw apart")
    with blank(2.8) as figure:
        axes = figure.subplots()
        for name, colour, line in zip(names, (BLUE, ORANGE, INK, GREY), ("-", "-", "--", ":"), strict=False):
            points = [(row["epoch"], row[name]) for row in epochs if _finite(row.get(name))]
            dots = "o" if len(points) < 4 else None
            if points:
                label = name.removeprefix(_APART)
                axes.plot(
                    *zip(*points, strict=True), color=colour, linestyle=line, marker=dots, markersize=3, label=label
                )
        axes.grid(axis="y")
        axes.set(xlabel="epoch", title="Losses")
        axes.legend(frameon=False, ncols=len(names), fontsize="small")
        axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        figure.set_label(f"Training losses by epoch: {', '.join(name.removeprefix(_APART) for name in names)}.")
    return figure


def looks_at_two(looks: Sequence[tuple[int, Mapping[str, float]]]) -> Figure:
    """What looks saw, by step: the spread of what is made and the critic's loss above, the largest singular values below. Raises
    ValueError where there was no look."""
    if not looks:
        raise ValueError("no looks to draw")
    panels = (("spread", "critic"), ("generator_sigma", "critic_sigma"))
    titles = ("Spread of what is made; loss of the critic", "Largest singular values")
    with blank(3.6) as figure:
        for axes, names, title in zip(figure.subplots(2, sharex=True), panels, titles, strict=True):
            for name, colour in zip(names, (BLUE, ORANGE), strict=True):
                points = [(step, values[name]) for step, values in looks if _finite(values.get(name))]
                if points:
                    label = name.replace("_sigma", "")
                    axes.plot(*zip(*points, strict=True), color=colour, label=label, linewidth=1.3)
            axes.grid(axis="y")
            axes.set_title(title)
            axes.legend(frameon=False, ncols=2, fontsize="small")
            axes.set_ylim(bottom=0)
        axes.set_xlabel("step")
        figure.set_label(f"{len(looks)} looks at the generator and its critic: {titles[0]}; {titles[1]}.")
    return figure


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
