"""Predicted against measured latency: a calibration, held against random deep networks of every family.

    python bench/latency_model.py --measure FILE [--runtime ort|eager]    # a quiet machine, two cores, ten minutes
    python bench/latency_model.py --evaluate FILE                         # seconds, anywhere

The networks are drawn by `SEED`, which was written down before any of them was looked at, and judge only: nothing is tuned
on them. Measured are a calibration, then the networks, interleaved in groups with the calibration's anchors. FILE gains a
line for each piece, so what was interrupted goes on; exported networks wait in the folder of its name. Evaluation writes
bench/results/latency_model.json and docs/latency-model.svg. Without arguments both are done.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import kendalltau

from common import Row, answer, save
from convsmith import plot
from convsmith.arch import ArchSpec
from convsmith.costs import cost
from convsmith.evals.intervals import wilson
from convsmith.families import FAMILIES
from convsmith.families import spec as member
from convsmith.jobs.timing.calibrate import ANCHORS, calibrate
from convsmith.jobs.timing.profile import networks_for
from convsmith.latency import Runtime, interleave
from convsmith.speed import DeviceModel, members
from convsmith.watcher import Watcher

NETWORKS, SEED = 60, 20261128
GROUP, ROUNDS = 15, 15
NEAR = 0.15


def drawn() -> tuple[ArchSpec, ...]:
    return members(NETWORKS, np.random.default_rng(SEED))


# ---- measuring -------------------------------------------------------------------------------------------------------


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def add(file: Path, line: dict) -> None:
    with file.open("a") as out:
        out.write(json.dumps(line) + "\n")


def measure(file: Path, runtime: Runtime) -> None:
    """What `file` lacks of a calibration and the milliseconds of all networks."""
    specs, watcher, folder = drawn(), Watcher(), file.with_suffix("")
    known = [member(name).with_resolution(side) for name, side in ANCHORS]
    for name in ("networks", "anchors"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    networks = networks_for(runtime, specs, folder / "networks", 1, 2, watcher)
    anchors = networks_for(runtime, known, folder / "anchors", 1, 2, watcher)
    done = lines(file)
    if not any("calibration" in line for line in done):
        with tempfile.TemporaryDirectory() as cache:
            model, _ = calibrate(runtime, folder=Path(cache))
        add(file, {"calibration": model.to_json()})
    timed = {line["first"] for line in done if "first" in line}
    for first in range(0, len(specs), GROUP):
        if first in timed:
            continue
        group = [*anchors, *networks[first : first + GROUP]]
        rows = interleave([one.subject() for one in group], threads=1, rounds=ROUNDS, seconds=20).rows
        names = [one.name for one in specs[first : first + GROUP]]
        ms = [row.median_ms for row in rows]
        add(file, {"first": first, "names": names, "anchors": ms[: len(anchors)], "ms": ms[len(anchors) :]})
        print(f"{min(first + GROUP, len(specs))} of {len(specs)} networks timed", flush=True)


# ---- evaluating ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """One network: its milliseconds as measured, at the level of the calibration, and as predicted, with the interval."""

    name: str
    family: str
    macs: int
    measured: float
    level: float
    ms: float
    low: float
    high: float

    @property
    def error(self) -> float:
        return abs(self.ms / self.measured - 1)

    @property
    def held(self) -> bool:
        return self.low <= self.measured <= self.high


def points(file: Path) -> tuple[DeviceModel, list[Point]]:
    """The machine's level in each group, by the anchors over those at calibration, is taken out of what was measured."""
    done = lines(file)
    text = next((line["calibration"] for line in done if "calibration" in line), None)
    groups = {line["first"]: line for line in done if "first" in line}
    if text is None or sorted(groups) != list(range(0, NETWORKS, GROUP)):
        raise SystemExit(f"{file} is not whole: `--measure {file}` goes on with it")
    model, specs = DeviceModel.from_json(text, str(file)), drawn()
    families = {one.name: name for name, family in FAMILIES.items() for one in family()}
    found = []
    for first, group in sorted(groups.items()):
        if group["names"] != [one.name for one in specs[first : first + GROUP]]:
            raise SystemExit(f"{file} is of other networks than this version draws")
        level = float(np.median([ms / then for ms, (_, then) in zip(group["anchors"], model.anchors, strict=True)]))
        for spec, ms in zip(specs[first : first + GROUP], group["ms"], strict=True):
            told = model.predict(spec)
            family = families[spec.name.rpartition("-")[0]]
            macs = cost(spec).macs
            found.append(Point(spec.name, family, macs, ms / level, level, told.ms, told.low, told.high))
    return model, found


def evaluate(file: Path) -> None:
    model, found = points(file)
    error = np.asarray([one.error for one in found])
    near, held = int((error <= NEAR).sum()), sum(one.held for one in found)
    measured = [one.measured for one in found]
    tau = float(kendalltau([one.ms for one in found], measured).statistic)
    null = float(kendalltau([one.macs for one in found], measured).statistic)
    level = [one.level for one in found]
    raw = np.abs([one.ms / (one.measured * one.level) - 1 for one in found])
    width = float(np.median([one.high / one.low for one in found]))
    low, high = wilson(held, NETWORKS)
    rows = [
        Row("median error", f"{np.median(error):.1%}", "", None, NETWORKS, "<= 7 %", answer(np.median(error) <= 0.07)),
        Row("within 15 %", f"{near / NETWORKS:.0%}", "", None, NETWORKS, ">= 90 %", answer(near >= 0.9 * NETWORKS)),
        Row(
            *("Kendall tau with measured", f"{tau:.3f}", f"MACs alone {null:.3f}"),
            *(None, NETWORKS, ">= 0.95", answer(tau >= 0.95)),
        ),
        Row(
            *("inside the 90 % interval", f"{held / NETWORKS:.0%} (95 %: {low:.0%} to {high:.0%})", ""),
            *(None, NETWORKS, ">= 90 %, as far as 60 tell", answer(high >= 0.9)),
        ),
        Row("interval, high / low, median", f"{width:.2f}", "", None, NETWORKS, ""),
        Row("under 1 ms: predicted / measured, median", *small(found)),
        Row("machine's level, now / at calibration", f"{min(level):.2f} to {max(level):.2f}", "", None, 4, ""),
        Row("median error, level left in", f"{np.median(raw):.1%}", "", None, NETWORKS, ""),
        Row("calibration, minutes", f"{model.minutes:.1f}", "", None, 1, "<= 5", answer(model.minutes <= 5)),
        Row("calibration's own left-out median error", f"{model.median_error:.1%}", "", None, len(model.error), ""),
        *(by_family(found)),
    ]
    title = f"Latency predicted by a calibrated model ({model.device.runtime}, 1 thread, batch 1)"
    note = f"Networks drawn by seed {SEED}, which judge only."
    # A runtime beside the usual one has a result of its own.
    name = "latency_model" if model.device.runtime == Runtime.ORT else f"latency_model_{model.device.runtime}"
    save(name, title, "measured", rows, note, raw=[vars(one) for one in found])
    if model.device.runtime == Runtime.ORT:
        plot.save(predicted_against_measured(found), Path(__file__).parents[1] / "docs" / "latency-model.svg")


def small(found: Sequence[Point]) -> tuple[str, str, None, int, str]:
    ratios = [one.ms / one.measured for one in found if one.measured < 1]
    return (f"{np.median(ratios):.2f}" if ratios else "none"), "", None, len(ratios), ""


def grouped(found: Sequence[Point]) -> dict[str, list[Point]]:
    groups: dict[str, list[Point]] = defaultdict(list)
    for one in sorted(found, key=lambda one: one.family):
        groups[one.family].append(one)
    return groups


def by_family(found: Sequence[Point]) -> list[Row]:
    """What each family's median error and lean are."""
    return [
        Row(
            *(f"{family}: median error", f"{np.median([one.error for one in own]):.1%}"),
            *(f"predicted / measured {np.median([one.ms / one.measured for one in own]):.2f}", None, len(own), ""),
        )
        for family, own in grouped(found).items()
    ]


def predicted_against_measured(found: Sequence[Point]) -> Figure:
    """A panel for each family: its networks' predicted against measured milliseconds over all others in grey, with their
    intervals and a band of 15 % about equality."""
    values = [value for one in found for value in (one.ms, one.measured)]
    low, high = min(values) / 1.3, max(values) * 1.3
    groups = grouped(found)
    across = 4
    down = -(-len(groups) // across)
    ticks = [tick for tick in (0.1, 1, 10, 100, 1000) if low <= tick <= high]
    with plot.blank(1.7 * down, width=6.6) as figure:
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat:
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set(xlim=(low, high), ylim=(low, high))
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_ticks(ticks, [f"{value:g}" for value in ticks])
                axis.set_minor_formatter("")
        for axes, (family, own) in zip(panels.flat, groups.items(), strict=False):
            band = ([low / (1 + NEAR), high / (1 + NEAR)], [low * (1 + NEAR), high * (1 + NEAR)])
            axes.fill_between([low, high], *band, color=plot.GREY, alpha=0.2, linewidth=0)
            axes.plot([one.measured for one in found], [one.ms for one in found], ".", color=plot.GREY, markersize=2)
            for one in own:
                color = plot.BLUE if one.error <= NEAR else plot.ORANGE
                axes.plot([one.measured] * 2, [one.low, one.high], color=color, linewidth=0.8)
                axes.plot(one.measured, one.ms, "o", color=color, markersize=4)
            axes.set_title(family, fontsize=8)
        for axes in panels.flat[len(groups) :]:
            axes.set_visible(False)
        figure.supxlabel("measured, ms")
        figure.supylabel("predicted, ms")
        near = sum(one.error <= NEAR for one in found)
        figure.set_label(
            f"Predicted against measured latency of {len(found)} networks by family; {near} are within 15 %."
        )
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=Path, metavar="FILE")
    parser.add_argument("--evaluate", type=Path, metavar="FILE")
    parser.add_argument("--runtime", type=Runtime, choices=(Runtime.ORT, Runtime.EAGER), default=Runtime.ORT)
    asked = parser.parse_args()
    if asked.measure is not None:
        measure(asked.measure, asked.runtime)
    if asked.evaluate is not None:
        evaluate(asked.evaluate)
    if asked.measure is asked.evaluate is None:
        with tempfile.TemporaryDirectory() as scratch:
            measure(Path(scratch) / "measured.jsonl", asked.runtime)
            evaluate(Path(scratch) / "measured.jsonl")


if __name__ == "__main__":
    main()
