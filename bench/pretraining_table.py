"""What `pretraining.py` found: a row for each question, the table of docs/papers/pose.md, and its picture."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from common import Row, save
from convsmith import plot
from convsmith.evals.intervals import standard_error, student
from convsmith.latency import Ratio
from convsmith.plot import BLUE, ORANGE, blank
from convsmith.runs import RunFolder

MODEL, DATA, CONTROL = "efficientnet_lite0", "quad30", "quad30-noshift"
BATCH, FRAMES = 8, 200  # of a step, and to train on
ARMS = ("pretrained", "scratch")
CORRUPTIONS, SEVERITY = ("gaussian_noise", "contrast", "motion_blur", "fog", "jpeg_compression"), 3
DOCS = Path(__file__).parents[1] / "docs"
PAGE, BEGIN, END = DOCS / "papers" / "pose.md", "<!-- pretraining: begin -->", "<!-- pretraining: end -->"


def curve(run: RunFolder) -> list[list[float]]:
    """The PCK within the domain after every epoch, as (step, share)."""
    return [[one.step, share] for one in run.epochs if (share := one.values.get("val_pck")) is not None]


@dataclass(frozen=True)
class Found:
    """What a folder has of runs, each a row as `measure` writes it."""

    rows: tuple[dict[str, Any], ...]

    def of(self, data: str, arm: str, steps: int) -> dict[tuple[int, int], dict[str, Any]]:
        """Runs by (split, seed)."""
        asked = (data, arm, steps)
        return {
            (row["split"], row["seed"]): row for row in self.rows if (row["data"], row["arm"], row["steps"]) == asked
        }

    def lengths(self, data: str, arm: str) -> list[int]:
        return sorted({row["steps"] for row in self.rows if row["data"] == data and row["arm"] == arm})


def value(row: dict[str, Any], part: str, measure: str) -> float | None:
    """A score of a run; of the part `within, corrupted` or `beyond, corrupted`, its mean over the corruptions."""
    if part in row["scores"]:
        return float(row["scores"][part][measure][0])
    if "corrupted" not in row:
        return None
    clean = part.partition(",")[0]
    return statistics.fmean(one[clean][measure][0] for one in row["corrupted"].values())


def by_split(runs: dict[tuple[int, int], dict[str, Any]], part: str, measure: str) -> dict[int, float]:
    """The mean over seeds, of each split."""
    found: dict[int, list[float]] = {}
    for (split, _), row in sorted(runs.items()):
        if (one := value(row, part, measure)) is not None:
            found.setdefault(split, []).append(one)
    return {split: statistics.fmean(each) for split, each in found.items()}


def shown(each: Iterable[float], measure: str) -> str:
    """The mean over splits and its standard error."""
    values = list(each)
    if not values:
        return ""
    mean, error = statistics.fmean(values), standard_error(values)
    if measure == "pck":
        return f"{100 * mean:.1f}%" + ("" if error is None else f" ± {100 * error:.1f}")
    return f"{mean:.3f}" + ("" if error is None else f" ± {error:.3f}")


def ratio(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], parts: tuple[str, str]) -> Ratio | None:
    """The geometric mean of error / error over pairs of runs, with Student's 95 % interval over splits; None for one split."""
    logs: dict[int, list[float]] = {}
    for one, other in zip(ours, theirs, strict=True):
        a, b = value(one, parts[0], "error"), value(other, parts[1], "error")
        if a is not None and b is not None:
            logs.setdefault(one["split"], []).append(math.log(a / b))
    each = [statistics.fmean(own) for own in logs.values()]
    if (ends := student(each)) is None:
        return None
    return Ratio(math.exp(statistics.fmean(each)), math.exp(ends[0]), math.exp(ends[1]))


WHAT = (
    *((part, "error") for part in ("train", "within", "beyond")),
    *((part, "pck") for part in ("within", "beyond")),
    *((f"{part}, corrupted", "error") for part in ("within", "beyond")),
)
SAID = {
    "train": "training frames", "within": "within the domain", "beyond": "out of the domain", "error": "error",
    "within, corrupted": "within, corrupted", "beyond, corrupted": "out of the domain, corrupted", "pck": "PCK@0.3",
}  # fmt: skip


def table_rows(found: Found) -> Iterator[Row]:
    """Pretrained beside scratch at each common length, and the longest of each."""
    lengths = [found.lengths(DATA, arm) for arm in ARMS]
    pairs = [(steps, steps) for steps in lengths[0] if steps in lengths[1]]
    if all(lengths) and (longest := (lengths[0][-1], lengths[1][-1])) not in pairs:
        pairs.append(longest)
    for pair in pairs:
        ours, theirs = (found.of(DATA, arm, steps) for arm, steps in zip(ARMS, pair, strict=True))
        both = sorted(ours.keys() & theirs.keys())
        for part, measure in WHAT:
            cells = [shown(by_split(runs, part, measure).values(), measure) for runs in (ours, theirs)]
            if not all(cells):
                continue
            found_ratio = (
                ratio([ours[k] for k in both], [theirs[k] for k in both], (part, part)) if measure == "error" else None
            )
            lengths_said = f"{pair[0]} steps" if pair[0] == pair[1] else f"{pair[0]} steps against {pair[1]}"
            goal = "about 0.5 on horses" if (part, measure) == ("beyond", "error") and pair[0] != pair[1] else ""
            yield Row(
                f"{lengths_said}: {SAID[measure]}, {SAID[part]}", cells[0], cells[1], found_ratio, len(both), goal
            )
    for data, said, goal in ((DATA, "", ""), (CONTROL, "control without shift, ", "1")):
        for arm in ARMS:
            for steps in found.lengths(data, arm):
                runs = list(found.of(data, arm, steps).values())
                beyond, within = (
                    shown(by_split(found.of(data, arm, steps), part, "error").values(), "error")
                    for part in ("beyond", "within")
                )
                what = f"{said}{arm}, {steps} steps: error out of the domain / within"
                yield Row(
                    what, *told_by_arm(arm, beyond, within), ratio(runs, runs, ("beyond", "within")), len(runs), goal
                )


def told_by_arm(arm: str, beyond: str, within: str) -> tuple[str, str]:
    said = f"{beyond} / {within}"
    return (said, "") if arm == ARMS[0] else ("", said)


def page_table(found: Found) -> str:
    """A row for each arm and length, for docs/papers/pose.md."""
    head = ("arm", "steps", "samples", "runs", *(f"{SAID[part]}: {SAID[measure]}" for part, measure in WHAT))
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for data in (DATA, CONTROL):
        for arm in ARMS:
            for steps in found.lengths(data, arm):
                runs = found.of(data, arm, steps)
                name = arm if data == DATA else f"{arm}, without shift"
                cells = (shown(by_split(runs, part, measure).values(), measure) for part, measure in WHAT)
                lines.append("| " + " | ".join((name, str(steps), str(steps * BATCH), str(len(runs)), *cells)) + " |")
    picture = "![Error within and out of the domain, by the length of training](../pretraining.svg)"
    return "\n".join([*lines, "", picture])


def corruption_rows(found: Found) -> Iterator[Row]:
    """Each corruption at the longest lengths."""
    lengths = [found.lengths(DATA, arm) for arm in ARMS]
    if not all(lengths):
        return
    ours, theirs = (found.of(DATA, arm, own[-1]) for arm, own in zip(ARMS, lengths, strict=True))
    for name in CORRUPTIONS:
        for part in ("within", "beyond"):
            cells = []
            for runs in (ours, theirs):
                each: dict[int, list[float]] = {}
                for (split, _), row in runs.items():
                    if "corrupted" in row:
                        each.setdefault(split, []).append(row["corrupted"][name][part]["error"][0])
                cells.append(shown([statistics.fmean(own) for own in each.values()], "error"))
            if all(cells):
                what = f"{lengths[0][-1]} steps against {lengths[1][-1]}: error under {name} {SEVERITY}, {SAID[part]}"
                yield Row(what, cells[0], cells[1], None, len(ours), "")


def merge(runs: Path) -> None:
    """The table, the picture and the page, of all rows that there are."""
    files = sorted((runs / "rows").glob("*.json"))
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    for file, row in zip(files, rows, strict=True):
        row["curve"] = row["curve"] or curve(RunFolder(runs / file.stem))
    found = Found(tuple(rows))
    settings = {tuple(row["settings"]) for row in found.rows}
    if len(settings) != 1:
        raise SystemExit(
            f"{runs} has runs by {len(settings)} recipes: {sorted(settings)}; give each a folder of its own"
        )
    drawn_curves(found)
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{page_table(found)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    seconds = sum(row["cpu_s"] for row in found.rows)
    changed = f", changed by {', '.join(found.rows[0]['settings'])}" if found.rows[0]["settings"] else ""
    save("pretraining", "Pretraining and poses out of the domain, on drawn animals", "from scratch", rows=[
        *table_rows(found), *corruption_rows(found)
    ], note=(
        f"{MODEL} on {DATA}, recipe pose-scratch{changed} in both arms; steps of {BATCH} pictures, one thread, "
        f"{seconds / 3600:.1f} hours of CPU in {len(found.rows)} runs. Errors are in scales of the individual. Means over "
        "splits, of means over seeds, ± standard error over splits; ratios are of pairs, with Student's interval over splits. "
        f"Corrupted: the mean of {', '.join(CORRUPTIONS)} at severity {SEVERITY}. Flat cartoons: the direction of a gap, not its "
        "size on real animals."
    ), raw={"runs": list(found.rows)})  # fmt: skip


def drawn_curves(found: Found) -> None:
    """docs/pretraining.svg: error and PCK over steps. A point is a length, run to the end of its own schedule, ± the standard error
    over splits; thin lines are the PCK within the domain while the longest ran."""
    with blank(4.8, width=6.4) as figure:
        panels = figure.subplots(2, 2, sharex=True, sharey="row")
        for (row, measure), (column, part) in product(enumerate(("error", "pck")), enumerate(("within", "beyond"))):
            axes, scale = panels[row][column], 100 if measure == "pck" else 1
            for arm, colour in zip(ARMS, (BLUE, ORANGE), strict=True):
                lengths = found.lengths(DATA, arm)
                each = [list(by_split(found.of(DATA, arm, steps), part, measure).values()) for steps in lengths]
                axes.errorbar(
                    lengths, [scale * statistics.fmean(own) for own in each],
                    [scale * (standard_error(own) or 0.0) for own in each],
                    fmt="o-", color=colour, linewidth=1.4, markersize=4, capsize=2, label=arm,
                )  # fmt: skip
                if (part, measure) == ("within", "pck") and lengths:
                    for one in found.of(DATA, arm, lengths[-1]).values():
                        steps, shares = zip(*one["curve"], strict=True)
                        axes.plot(steps, [scale * own for own in shares], color=colour, linewidth=0.5, alpha=0.35)
            axes.set_xscale("log")
            ticks = sorted({steps for arm in ARMS for steps in found.lengths(DATA, arm)})
            axes.set_xticks(ticks, list(map(str, ticks)))
            axes.minorticks_off()
            axes.grid(axis="y")
        for axes, part in zip(panels[0], ("within", "beyond"), strict=True):
            axes.set_yscale("log")
            axes.set_yticks([0.05, 0.1, 0.2, 0.5, 1, 2], ["0.05", "0.1", "0.2", "0.5", "1", "2"])
            axes.minorticks_off()
            axes.set_title(SAID[part])
        for axes in panels[1]:
            axes.set_xlabel(f"steps of {BATCH} pictures")
        panels[0][0].set_ylabel("error, in scales")
        panels[1][0].set_ylabel("PCK@0.3, %")
        panels[0][1].legend(frameon=False, fontsize=7)
        figure.set_label(
            "Error within and out of the domain of the training animals, by the length of training, pretrained and from scratch."
        )
        plot.save(figure, DOCS / "pretraining.svg")
