"""The figures of reports: plain values in, matplotlib figures out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..scores import Metric
from ..units import human
from .canvas import BLUE, GREY, INK, ORANGE, WIDTH, axis_of, blank, logarithmic, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "MOST_PRINTED",
    "confusion",
    "latency_bars",
    "loss_curves",
    "score_against_macs",
    "score_curves",
    "stage_costs",
]

MOST_PRINTED = 20  # classes up to which a confusion matrix has room for names and counts
STRONGEST_UNDER_INK = 0.6  # of a cell's blue or orange


def loss_curves(epochs: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss by epoch, training grey and validation blue, the best validation epoch ringed.

    `epochs` are rows with `epoch` and any of `train_loss` and `val_loss`. A value that is missing, None or not finite is left
    out. Raises ValueError where there is no epoch at all.
    """
    return _curves(epochs, "loss", "Loss", min, scale=1, form="{:.3f}")


def score_curves(epochs: Sequence[Mapping[str, Any]], metric: Metric) -> Figure:
    """The same of the score of `metric`, by its name: of `top1` it draws `train_top1` and `val_top1`."""
    label, scale = axis_of(metric)
    best = max if metric.more_is_better else min
    form = "{:.1f} %" if scale == 100 else "{:.4g}"
    title = label.partition("(")[0]  # what stands in brackets is said elsewhere
    return _curves(epochs, metric.name, title[:1].upper() + title[1:], best, scale=scale, form=form)


def _curves(
    epochs: Sequence[Mapping[str, Any]],
    name: str,
    title: str,
    best: Callable[..., tuple[int, float]],
    *,
    scale: float,
    form: str,
) -> Figure:
    if not epochs:
        raise ValueError("no epochs to draw")
    with blank(2.8) as figure:
        axes = figure.subplots()
        points = _two_curves(axes, epochs, name, scale=scale)
        if points:
            at, value = best(points, key=lambda point: point[1])
            axes.plot(at, value, "o", markersize=8, markerfacecolor="none", markeredgecolor=ORANGE, markeredgewidth=1.6)
            title += f": best val {form.format(value)} at epoch {at}"
        axes.set_title(title)
        axes.set_xlabel("epoch")
        if len(epochs) == 1:
            axes.set_xticks([epochs[0]["epoch"]])
        else:
            axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        figure.set_label(f"Training curve over {len(epochs)} epochs. {title}.")
    return figure


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """How often each true class (row) was taken for each class (column).

    Colour is the square root of the share of the row, so that rare mistakes still show: blue where right, orange
    where wrong. Names and counts are printed for up to 20 classes. Raises ValueError where matrix and classes do
    not agree.
    """
    import numpy as np
    from matplotlib.colors import to_rgba

    counts = np.asarray(matrix, dtype=float)
    size = len(classes)
    if size == 0 or counts.shape != (size, size):
        raise ValueError(f"a confusion matrix of {size} classes is {size} x {size}; got shape {counts.shape}")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    printed = size <= MOST_PRINTED
    # Over a number no colour is so strong that the page's ink cannot be read on it, light or dark. A single mistake in a small
    # cell without a number has to be seen by its colour alone.
    faintest, strongest = (0.1, STRONGEST_UNDER_INK) if printed else (0.45, 1.0)
    strength = np.where(counts > 0, np.maximum(strongest * np.sqrt(shares), faintest), 0)
    pixels = np.empty((size, size, 4))
    pixels[:] = to_rgba(ORANGE)
    pixels[np.eye(size, dtype=bool)] = to_rgba(BLUE)
    pixels[..., 3] = strength

    side = max(WIDTH, 1.3 + 0.34 * size) if printed else WIDTH
    with blank(side, width=side) as figure:
        axes = figure.subplots()
        axes.imshow(pixels, interpolation="none", extent=(0, size, size, 0))
        axes.set(xlabel="predicted", ylabel="true")
        if printed:
            names = [short(name, 14) for name in classes]
            axes.set_xticks(np.arange(size) + 0.5, names, rotation=90 if max(map(len, names)) > 2 else 0)
            axes.set_yticks(np.arange(size) + 0.5, names)
            axes.tick_params(length=0)
            for row, column in zip(*np.nonzero(counts), strict=True):
                axes.text(column + 0.5, row + 0.5, f"{counts[row, column]:.0f}", color=INK, ha="center", va="center")
        for side_line in axes.spines.values():
            side_line.set_visible(True)
        right = counts.trace() / max(counts.sum(), 1)
        figure.set_label(
            f"Confusion matrix of {size} classes, {counts.sum():.0f} images, {100 * right:.1f} % on the diagonal."
        )
    return figure


def latency_bars(rows: Sequence[Mapping[str, Any]], *, of: str = "image") -> Figure:
    """Median milliseconds of what is read at once as bars, p10 to p90 as whiskers, in the order given.

    `rows` hold `name runtime threads batch median_ms p10_ms p90_ms n`. What all rows share is said once, under the
    axis. Raises ValueError where there is no row.
    """
    if not rows:
        raise ValueError("no latencies to draw")
    facets = [_conditions(row) for row in rows]
    shared = [facet for facet in facets[0] if all(facet in other for other in facets)]
    with blank(0.75 + 0.5 * len(rows)) as figure:
        axes = figure.subplots()
        for place, (row, facet) in enumerate(zip(rows, facets, strict=True)):
            low, middle, high = row["p10_ms"], row["median_ms"], row["p90_ms"]
            axes.barh(place, middle, height=0.42, color=BLUE, alpha=0.75)
            axes.hlines(place, low, high, color=INK, linewidth=1.2)
            axes.vlines([low, high], place - 0.1, place + 0.1, color=INK, linewidth=1.2)
            label = ", ".join([short(row["name"], 40), *(part for part in facet if part not in shared)])
            axes.annotate(label, (0, place - 0.21), xytext=(1, 2), textcoords="offset points", va="bottom")
            axes.annotate(
                f"{middle:.3g}", (max(high, middle), place), xytext=(4, 0), textcoords="offset points", va="center"
            )
        axes.set_ylim(len(rows) - 0.6, -0.75)
        axes.set_xlim(0, 1.12 * max(max(row["p90_ms"], row["median_ms"]) for row in rows))
        axes.set_yticks([])
        axes.set_xlabel(f"ms per {of}" + (f" ({', '.join(shared)})" if shared else ""))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        fastest = min(rows, key=lambda row: row["median_ms"])
        figure.set_label(
            f"Latency of {len(rows)} measurements, median with p10 to p90; "
            f"the fastest is {short(fastest['name'], 60)} with {fastest['median_ms']:.3g} ms."
        )
    return figure


def stage_costs(stages: Sequence[Mapping[str, Any]]) -> Figure:
    """Each stage's share of the MACs (blue) and of the parameters (orange).

    `stages` hold `name macs params`, from stem to head. Raises ValueError where there is none.
    """
    if not stages:
        raise ValueError("no stages to draw")
    with blank(0.8 + 0.36 * len(stages)) as figure:
        axes = figure.subplots()
        for offset, key, label, color in ((-0.19, "macs", "MACs", BLUE), (0.19, "params", "parameters", ORANGE)):
            total = sum(stage[key] for stage in stages) or 1
            shares = [100 * stage[key] / total for stage in stages]
            places = [index + offset for index in range(len(stages))]
            axes.barh(places, shares, height=0.34, color=color, alpha=0.8, label=f"share of {label}")
            for place, share in zip(places, shares, strict=True):
                axes.annotate(
                    f"{share:.0f} %", (share, place), xytext=(3, 0), textcoords="offset points", va="center", size=7.5
                )
        axes.set_yticks(range(len(stages)), [short(stage["name"], 16) for stage in stages])
        axes.set_ylim(len(stages) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderpad=0, handlelength=1)
        heaviest = max(stages, key=lambda stage: stage["macs"])
        figure.set_label(f"Cost by stage; most MACs are in {short(heaviest['name'], 40)}.")
    return figure


def score_against_macs(points: Sequence[tuple[str, int, Metric]]) -> Figure:
    """Each score with its interval against MACs on a logarithmic axis, under its label; `points` are (label, MACs, score).

    All scores are of one metric. Raises ValueError where there is no point.
    """
    if not points:
        raise ValueError("no points to draw")
    metric = points[0][2]
    label, scale = axis_of(metric)
    with blank(3.4) as figure:
        axes = figure.subplots()
        logarithmic(axes, [macs for _, macs, _ in points], human)
        for name, macs, score in points:
            if score.interval is not None:
                low, high = score.interval
                axes.vlines(macs, scale * low, scale * high, color=GREY, linewidth=1.4)
            place = (macs, scale * score.value)
            axes.plot(*place, "o", color=BLUE, markersize=6)
            axes.annotate(short(name, 24), place, xytext=(6, 3), textcoords="offset points")
        axes.set(xlabel="MACs", ylabel=f"{label} (95 % interval)")
        axes.grid(axis="y")
        figure.set_label(f"{metric.title} against MACs of {len(points)} runs.")
    return figure


def _two_curves(axes: Axes, epochs: Sequence[Mapping[str, Any]], name: str, *, scale: float) -> list[tuple[int, float]]:
    """Draws train and val of `name`, each named at its end; gives the points of val."""
    import numpy as np
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ends = []
    val: list[tuple[int, float]] = []
    for split, color, line, weight in (("train", GREY, 1.3, "normal"), ("val", BLUE, 1.8, "bold")):
        key = f"{split}_{name}"
        points = [(row["epoch"], scale * row[key]) for row in epochs if _finite(row.get(key))]
        if points:
            dots = "o" if len(points) < 4 else None
            axes.plot(*zip(*points, strict=True), color=color, linewidth=line, marker=dots, markersize=3)
            ends.append((points[-1], split, weight))
        val = points
    axes.grid(axis="y")
    axes.margins(x=0.02, y=0.08)
    values = [value for line in axes.lines for value in np.asarray(line.get_ydata(), dtype=float)]
    if name == "loss" and values and min(values) > 0 and max(values) > 50 * min(values):
        # One bad epoch may be a thousand times the rest, which a linear axis would press flat.
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    tall = 130  # about the panel's height in points; enough to keep two labels from touching
    axes.autoscale_view()
    to_panel = axes.transScale + axes.transLimits
    apart = [tall * to_panel.transform(point)[1] for point, _, _ in ends]
    push = max(0.0, 11 - abs(apart[0] - apart[1])) / 2 if len(ends) == 2 else 0.0
    for (point, split, weight), height in zip(ends, apart, strict=True):
        up = push if height > min(apart) or (split == "val" and apart[0] == apart[-1]) else -push
        axes.annotate(
            split, point, xytext=(5, up), textcoords="offset points", va="center", weight=weight, annotation_clip=False
        )
    return val


def _conditions(row: Mapping[str, Any]) -> list[str]:
    threads = "1 thread" if row["threads"] == 1 else f"{row['threads']} threads"
    return [str(row["runtime"]), threads, f"batch {row['batch']}", f"n = {row['n']}"]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
