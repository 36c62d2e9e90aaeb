"""The supernet against its promises: are children cut out of it as good as the same networks trained alone?

    python bench/supernet.py TRAIN.npz VAL.npz [--out FOLDER] [--only supernets,alone,...] [--lengths 2,5,...]

T32, the space for small images, trained for several lengths; children cut out and calibrated, trained no further, against
the same specs trained alone for as many steps of the same recipe, and against themselves trained on for a short while at a
small rate. Then what each ingredient of the method is worth. Every training is one thread's and is kept in the folder, so
that a stop loses nothing, and parts (`--only`) may run in processes of their own. With `--lengths` only trainings of so many
epochs are looked at, and the table keeps the others' rows. Networks that were trained alone for an earlier table are not
trained again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
from scipy.stats import kendalltau

from common import Row, save
from convsmith import plot
from convsmith.arch import ArchSpec
from convsmith.costs import cost
from convsmith.data import load_data
from convsmith.evals.intervals import wilson
from convsmith.plot import BLUE, GREY, INK, ORANGE, blank
from supernet_methods import ABLATIONS, LABELS_FIRST, WHOLE, Method
from supernet_study import Study, children, saved

# Epochs of the method and of the same networks alone; of labels first; of training on; of the ablations.
LENGTHS, SHORT, TUNED, ABLATED = (2, 5, 10, 20), (2, 5), (2, 5, 20), 2
RANKED = {5: 9, 20: 8}  # after how many epochs, and how many children
TUNING = 0.05  # share of the peak rate at which a child is trained on


def first_five() -> dict[str, ArchSpec]:
    return dict(list(children().items())[:5])


def supernets(study: Study, lengths: Sequence[int]) -> None:
    for epochs in lengths:
        study.supernet(WHOLE, epochs)
        if epochs in SHORT:
            study.supernet(LABELS_FIRST, epochs)


def alone(study: Study, lengths: Sequence[int]) -> None:
    for epochs in lengths:
        study.alone(epochs, _specs(epochs))


def ablations(study: Study, lengths: Sequence[int]) -> None:
    if ABLATED in lengths:
        for method in ABLATIONS:
            study.supernet(method, ABLATED)


def tuning(study: Study, lengths: Sequence[int]) -> None:
    for epochs in lengths:
        if epochs in TUNED:
            for name, spec in first_five().items():
                study.tuned(epochs, name, spec, TUNING)


def table(study: Study, lengths: Sequence[int]) -> None:
    before, rows = saved(), []
    raw = {"curves": {}, "gaps": {}} | before["raw"]
    raw["alone"] = {path.stem: json.loads(path.read_text()) for path in sorted((study.out / "alone").glob("*.json"))}
    for epochs in lengths:
        rows += _compared(study, epochs, raw)
        if epochs in RANKED:
            rows += _ranked(study, epochs)
        if epochs == ABLATED:
            rows += _ablated(study)
        raw["curves"][str(epochs)] = json.loads((study.out / f"whole-{epochs}.curve.json").read_text())
    made = {_section(row) for row in rows}
    rows += [row for row in (Row(**one) for one in before["rows"]) if _section(row) not in made]
    save("supernet", "One set of weights, any child", "the same specs trained alone", sorted(rows, key=_section), raw=raw,
        note="top-1 with the 95 % interval of the validation images; one seed. Trained on: by labels for 15 % of the steps at 5 % "
        "of the peak rate, points gained. Labels first: for half of the steps; it was tried after the first lengths had been "
        "seen. Batch 32, SGD; the space T32 on 20,000 training images. Rows are kept from run to run: the machine "
        "is the last run's.",
    )  # fmt: skip
    drawn_curves(study.out, raw)


def _section(row: Row) -> tuple[int, str]:
    """What is made anew at once: a length's rows, or the ablations, which come last."""
    first = row.what.split()[0]
    return (int(first), "") if "steps:" in row.what else (10**9, first)


def _specs(epochs: int) -> dict[str, ArchSpec]:
    return dict(list(children().items())[: RANKED.get(epochs, 5)])


def _compared(study: Study, epochs: int, raw: dict) -> list[Row]:
    """Each child beside the same network alone; `raw` gets the differences."""
    n, rows, specs = len(study.images.val), [], _specs(epochs)
    steps, by_itself = epochs * (len(study.images.train) // 32), study.alone(epochs, specs)

    def told(share: float) -> str:
        low, high = wilson(round(share * n), n)
        return f"{share:.1%} [{low:.1%}, {high:.1%}]"

    def gap(method: Method, name: str, score: float) -> str:
        points = 100 * (score - by_itself[name])
        if name in first_five():
            raw["gaps"].setdefault(method.name, {}).setdefault(name, {})[str(epochs)] = round(points, 2)
        return f"{points:+.1f}"

    for name, spec in specs.items():
        cut = study.cut(WHOLE, epochs, name, spec)
        told_apart = f"alone {told(by_itself[name])}; cut out - alone {gap(WHOLE, name, cut)}"
        if name in first_five() and epochs in TUNED:
            told_apart += f"; trained on {100 * (study.tuned(epochs, name, spec, TUNING) - cut):+.1f}"
        if epochs in SHORT:
            labels = study.cut(LABELS_FIRST, epochs, name, spec)
            told_apart += f"; labels first {labels:.1%}, - alone {gap(LABELS_FIRST, name, labels)}"
        rows.append(
            Row(f"{steps} steps: {name}, {cost(spec).macs / 1e6:.2f}M MACs", told(cut), told_apart, None, n, "")
        )
    return rows


def _ranked(study: Study, epochs: int) -> list[Row]:
    """Whether children stand in the order of the same networks alone, and whether counting MACs says as much."""
    specs, steps = _specs(epochs), epochs * (len(study.images.train) // 32)
    theirs, macs = list(study.alone(epochs, specs).values()), [cost(spec).macs for spec in specs.values()]
    null, rows = kendalltau(macs, theirs).statistic, []
    for method in (WHOLE, LABELS_FIRST) if epochs in SHORT else (WHOLE,):
        ours = [study.cut(method, epochs, name, spec) for name, spec in specs.items()]
        what = f"{steps} steps: Kendall tau with alone, {method.name}"
        tau = kendalltau(ours, theirs).statistic
        rows.append(Row(what, f"{tau:.2f}", f"MACs alone {null:.2f}", None, len(ours), ""))
    return rows


def _ablated(study: Study) -> list[Row]:
    """The mean of five children, with each ingredient of the method left out."""
    five = first_five().items()
    scores = {
        method.name: [study.cut(method, ABLATED, name, spec) for name, spec in five] for method in (WHOLE, *ABLATIONS)
    }
    scores["without calibration"] = [study.uncalibrated(ABLATED, name, spec) for name, spec in five]
    return [
        Row(
            f"{ABLATED} epochs, {name}: mean of five children",
            f"{statistics.mean(own):.1%}",
            ", ".join(f"{one:.1%}" for one in own),
            None,
            len(study.images.val),
            "",
        )
        for name, own in scores.items()
    ]


def drawn_curves(out: Path, raw: dict) -> None:
    """docs/supernet-study.svg: the ends after every epoch, and children less the same networks alone, by length."""
    with blank(3.2) as figure:
        left, right = figure.subplots(1, 2)
        lengths = sorted(raw["curves"], key=int)
        for epochs, color in zip(lengths, (GREY, ORANGE, BLUE, INK), strict=False):
            curve = raw["curves"][epochs]
            for name, style in (("biggest", "-"), ("smallest", "--")):
                left.plot([one["step"] for one in curve], [100 * one[name] for one in curve], style, color=color,
                          linewidth=1, label=f"{epochs} epochs" if name == "biggest" else None)  # fmt: skip
        left.set_xlabel("step")
        left.set_ylabel("top-1, %")
        left.legend(
            frameon=False, fontsize=6.5, loc="lower right", title="solid: biggest\ndashed: smallest", title_fontsize=6.5
        )
        for method, style in ((WHOLE, "o-"), (LABELS_FIRST, "o:")):
            for at, (name, spec) in enumerate(first_five().items()):
                gaps = {int(epochs): points for epochs, points in raw["gaps"][method.name][name].items()}
                xs = sorted(gaps)
                label = f"{name}, {cost(spec).macs / 1e6:.1f}M" if method is WHOLE else None
                right.plot(xs, [gaps[x] for x in xs], style, color=f"C{at}", label=label, linewidth=1, markersize=3)
        right.axhline(0, color=INK, linewidth=0.6)
        right.set_xlabel("epochs of both")
        right.set_xscale("log")
        right.set_xticks([int(epochs) for epochs in lengths], lengths, minor=False)
        right.minorticks_off()
        right.set_ylim(top=11)  # room for the legend
        right.set_ylabel("cut out less alone, points")
        right.legend(frameon=False, fontsize=6.5, loc="upper left", title="dotted: labels first", title_fontsize=6.5)
        figure.set_label(
            "A supernet's ends by step, and its children's top-1 less that of the same networks trained alone."
        )
        plot.save(figure, Path(__file__).parents[1] / "docs" / "supernet-study.svg")
        plot.save(figure, out / "supernet-study.png")


PARTS = {"supernets": supernets, "alone": alone, "ablations": ablations, "tuning": tuning, "table": table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("val")
    parser.add_argument("--out", type=Path, default=Path("supernet-study"))
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--lengths", default=",".join(map(str, LENGTHS)))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    study = Study(load_data(asked.train, val=asked.val), asked.out)
    for part in asked.only.split(","):
        PARTS[part](study, [int(epochs) for epochs in asked.lengths.split(",")])


if __name__ == "__main__":
    main()
