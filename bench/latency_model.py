"""Predicted against measured latency: a calibration, held against random deep ones of every family.

The deep networks are exported first, into a folder that is kept (`--files`), because that takes most of the time; then the
machine is calibrated and they are timed, interleaved. Writes bench/results/latency_model.json and docs/latency-model.svg.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import kendalltau

from common import Row, answer, save
from convsmith import plot
from convsmith.costs import cost
from convsmith.families import spec as member
from convsmith.jobs.timing.calibrate import ANCHORS, calibrate
from convsmith.jobs.timing.profile import Exported, exported, timed
from convsmith.speed import members
from convsmith.watcher import Watcher

NETWORKS, SEED = 60, 1


def predicted_against_measured(predicted: list[float], measured: list[float]) -> Figure:
    """Each network's predicted against its measured milliseconds, both logarithmic, with a band of 15 % about equality."""
    low, high = min(*predicted, *measured) / 1.2, max(*predicted, *measured) * 1.2
    ticks = plot.round_numbers(low, high)
    with plot.blank(4.2) as figure:
        axes = figure.subplots()
        for axis, set_scale, set_limits in (
            (axes.xaxis, axes.set_xscale, axes.set_xlim),
            (axes.yaxis, axes.set_yscale, axes.set_ylim),
        ):
            set_scale("log")
            set_limits(low, high)
            axis.set_ticks(ticks, [f"{value:g}" for value in ticks])
            axis.set_minor_formatter("")
        axes.fill_between(
            [low, high], [low / 1.15, high / 1.15], [low * 1.15, high * 1.15], color=plot.GREY, alpha=0.2, linewidth=0
        )
        axes.plot([low, high], [low, high], color=plot.GREY, linewidth=0.8)
        inside = [abs(a / b - 1) <= 0.15 for a, b in zip(predicted, measured, strict=True)]
        for wanted, color in ((True, plot.BLUE), (False, plot.ORANGE)):
            pairs = [(b, a) for a, b, hit in zip(predicted, measured, inside, strict=True) if hit is wanted]
            axes.plot([x for x, _ in pairs], [y for _, y in pairs], "o", color=color, markersize=4)
        axes.set_xlabel("measured, ms")
        axes.set_ylabel("predicted, ms")
        share = sum(inside) / len(inside)
        axes.set_title(f"{share:.0%} of {len(inside)} networks within 15 %")
        figure.set_label(f"Predicted against measured latency of {len(inside)} networks; {share:.0%} are within 15 %.")
    return figure


def main() -> None:
    files = Path(sys.argv[sys.argv.index("--files") + 1]) if "--files" in sys.argv else Path(tempfile.mkdtemp())
    (files / "anchors").mkdir(parents=True, exist_ok=True)
    specs = members(NETWORKS, np.random.default_rng(SEED))
    paths = exported(specs, files, 2, Watcher())
    if "--export-only" in sys.argv:
        return
    with tempfile.TemporaryDirectory() as cache:
        model, _ = calibrate(folder=Path(cache))
    # Anchors are timed in the same rounds: the machine's common level now over that at calibration is taken out, and shown.
    anchors = exported([member(name).with_resolution(side) for name, side in ANCHORS], files / "anchors", 1, Watcher())
    deep, known = ([Exported(path, 1) for path in files] for files in (paths, anchors))
    took, now = timed(deep, known, 1, 15, Watcher())
    level = float(np.median([ms / then for ms, (_, then) in zip(now, model.anchors, strict=True)]))
    raw, found = np.asarray(took), np.asarray(took) / level
    expected = np.asarray([model.ms(spec) for spec in specs])
    error = np.abs(expected / found - 1)
    macs = [cost(spec).macs for spec in specs]
    tau, null = float(kendalltau(expected, found).statistic), float(kendalltau(macs, found).statistic)
    within = float((error <= 0.15).mean())
    for at in np.argsort(-np.abs(np.log(expected / found)))[:8]:
        print(f"{specs[at].name}: {found[at]:.2f} ms, predicted {expected[at]:.2f}", file=sys.stderr)
    rows = [
        Row("median error", f"{np.median(error):.1%}", "", None, NETWORKS, "<= 7 %", answer(np.median(error) <= 0.07)),
        Row("within 15 %", f"{within:.0%}", "", None, NETWORKS, ">= 95 %", answer(within >= 0.95)),
        Row(
            "Kendall tau with measured",
            f"{tau:.3f}",
            f"MACs alone {null:.3f}",
            None,
            NETWORKS,
            ">= 0.95",
            answer(tau >= 0.95),
        ),
        Row("machine's level, now / at calibration", f"{level:.2f}", "", None, len(anchors), ""),
        Row("median error, level left in", f"{np.median(np.abs(expected / raw - 1)):.1%}", "", None, NETWORKS, ""),
        Row("calibration, minutes", f"{model.minutes:.1f}", "", None, 1, "<= 5", answer(model.minutes <= 5)),
        Row("calibration's own left-out median error", f"{model.median_error:.1%}", "", None, len(model.error), ""),
    ]
    save("latency_model", "Latency predicted by a calibrated model (onnxruntime, 1 thread, batch 1)", "measured", rows)
    figure = predicted_against_measured(list(map(float, expected)), list(map(float, found)))
    plot.save(figure, Path(__file__).parents[1] / "docs" / "latency-model.svg")
    plot.save(figure, files / "latency-model.png")


if __name__ == "__main__":
    main()
