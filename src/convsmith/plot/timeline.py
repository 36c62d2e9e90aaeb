"""What a film shows, over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .canvas import BLUE, GREY, blank, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MOST_LANES", "labels_over_time"]

MOST_LANES = 8  # classes that are drawn, those that are likeliest most of the time


def labels_over_time(stretches: Sequence[tuple[float, float, Mapping[str, float]]], title: str) -> Figure:
    """A lane for each class: how likely it is, from the first second to the last; blue where no class is likelier, else grey.

    `stretches` are (start, end, probabilities by class), in seconds; a class that is not named there is drawn as 0. Raises
    ValueError where there is none.
    """
    if not stretches:
        raise ValueError("no stretch of a film to draw")
    weight: Counter[str] = Counter()
    for start, end, shares in stretches:
        for label, share in shares.items():
            weight[label] += share * (end - start)  # type: ignore[assignment]  # a Counter of floats
    lanes = [label for label, _ in weight.most_common(MOST_LANES)]
    with blank(0.9 + 0.42 * len(lanes)) as figure:
        axes = figure.subplots()
        for lane, label in enumerate(lanes):
            below = len(lanes) - 1 - lane
            for start, end, shares in stretches:
                share = shares.get(label, 0.0)
                best = share > 0 and share == max(shares.values())
                axes.fill_between([start, end], below, below + 0.9 * share, color=BLUE if best else GREY, linewidth=0)
            axes.axhline(below, color=GREY, linewidth=0.6)
        axes.set_yticks(
            [len(lanes) - 1 - lane + 0.45 for lane in range(len(lanes))], [short(label, 22) for label in lanes]
        )
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(0, len(lanes))
        axes.set_xlim(stretches[0][0], max(end for _, end, _ in stretches))
        axes.set_xlabel("seconds")
        axes.set_title(short(title, 52))
        left = len(weight) - len(lanes)
        figure.set_label(
            f"How likely each class is over time in {title}"
            + (f"; {left} classes are left out" if left > 0 else "")
            + "."
        )
    return figure
