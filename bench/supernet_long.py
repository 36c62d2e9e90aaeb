"""Children against the same networks alone, until both have flattened: `bench/supernet.py`'s question on a CUDA device.

    python bench/supernet_long.py TRAIN.npz VAL.npz [--out FOLDER] [--lengths 10,30,100] [--seconds 500]

T32 as there, in batches of 256, for tens of epochs; nine children at every length, the ablations at the middle one. Each
training is a process of its own, the longest first, many beside each other. Where the seconds end before a training does,
what is told of it is left out; run again with the same folder, it is made up for.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import kendalltau

from common import Row, save
from convsmith import plot
from convsmith.costs import cost
from convsmith.data import load_data
from convsmith.evals.intervals import wilson
from convsmith.plot import BLUE, INK, ORANGE, _figure
from convsmith.resolve import device
from convsmith.trials import Trial
from supernet import ABLATIONS, LABELS_FIRST, TUNING, WHOLE, Study, children, first_five

BATCH = 256
METHODS = {method.name: method for method in (WHOLE, *ABLATIONS)}


@dataclass(frozen=True)
class Job:
    """One training in a process of its own: `supernet METHOD EPOCHS`, `alone CHILD EPOCHS` or `tuned CHILD EPOCHS`."""

    what: str
    name: str
    epochs: int

    @property
    def effort(self) -> float:
        """By which the longest begin first: a sandwich is four networks, training on is 15 % of a training."""
        return self.epochs * {"supernet": 4.0, "alone": 1.0, "tuned": 0.15}[self.what]

    def path(self, study: Study) -> Path:
        """The last file that it leaves."""
        match self.what:
            case "supernet":
                last = list(children())[-1]
                return study.out / "scores" / f"cut {self.name} {self.epochs} {last}.json".replace(" ", "-")
            case "alone":
                spec = study._own(children()[self.name])
                return study.out / "alone" / f"{Trial(spec, study.recipe(self.epochs), 0).key(study.data)}.json"
            case _:
                return study.out / "scores" / f"tuned {TUNING:g} {self.epochs} {self.name}.json".replace(" ", "-")

    def ready(self, study: Study) -> bool:
        return self.what != "tuned" or (study.out / f"whole-{self.epochs}.safetensors").exists()

    def do(self, study: Study) -> None:
        match self.what:
            case "supernet":
                for name, spec in children().items():
                    study.cut(METHODS[self.name], self.epochs, name, spec)
            case "alone":
                study.alone(self.epochs, {self.name: children()[self.name]})
            case _:
                study.tuned(self.epochs, self.name, children()[self.name], TUNING)


def jobs(lengths: Sequence[int]) -> list[Job]:
    found = [Job("supernet", WHOLE.name, epochs) for epochs in lengths]
    found += [Job("supernet", method.name, lengths[len(lengths) // 2]) for method in ABLATIONS]
    found += [Job("supernet", LABELS_FIRST.name, lengths[-1])]
    found += [Job("alone", name, epochs) for epochs in lengths for name in children()]
    found += [Job("tuned", name, epochs) for epochs in lengths for name in first_five()]
    return sorted(dict.fromkeys(found), key=lambda job: -job.effort)


def spread_out(study: Study, todo: list[Job], argv: Sequence[str], seconds: float) -> None:
    """Do the jobs beside each other, as many as there are cores for, until the seconds end."""
    began, running = time.monotonic(), dict[subprocess.Popen, Job]()
    todo = [job for job in todo if not job.path(study).exists()]
    most = max(1, (os.cpu_count() or 2) - 1)
    while (todo or running) and time.monotonic() - began < seconds:
        for process, job in list(running.items()):
            if process.poll() is not None:
                del running[process]
                took = time.monotonic() - began
                print(f"{took:.0f} s: {job.what} {job.name} {job.epochs}: {process.returncode}", flush=True)
        for job in [job for job in todo if job.ready(study)][: most - len(running)]:
            todo.remove(job)
            command = [sys.executable, __file__, *argv, "--job", job.what, job.name, str(job.epochs)]
            running[subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})] = job
        time.sleep(0.2)
    for process in running:
        process.kill()


# ---- what it says ----------------------------------------------------------------------------------------------------


def told(share: float, n: int) -> str:
    low, high = wilson(round(share * n), n)
    return f"{share:.1%} [{low:.1%}, {high:.1%}]"


def compared(study: Study, epochs: int, raw: dict) -> list[Row]:
    """Each child beside the same network alone, and whether they stand in the same order."""
    n, rows, both = len(study.images.val), [], dict[str, tuple[float, float]]()
    steps = epochs * (len(study.images.train) // BATCH)
    for name, spec in children().items():
        if not (
            Job("supernet", WHOLE.name, epochs).path(study).exists() and Job("alone", name, epochs).path(study).exists()
        ):
            continue
        cut, alone = study.cut(WHOLE, epochs, name, spec), study.alone(epochs, {name: spec})[name]
        both[name] = cut, alone
        told_apart = f"alone {told(alone, n)}; cut out - alone {100 * (cut - alone):+.1f}"
        if Job("tuned", name, epochs).path(study).exists():
            told_apart += f"; trained on {100 * (study.tuned(epochs, name, spec, TUNING) - cut):+.1f}"
        if Job("supernet", LABELS_FIRST.name, epochs).path(study).exists():
            labels = study.cut(LABELS_FIRST, epochs, name, spec)
            told_apart += f"; labels first {labels:.1%}, - alone {100 * (labels - alone):+.1f}"
        rows.append(
            Row(
                f"{epochs} epochs, {steps} steps: {name}, {cost(spec).macs / 1e6:.2f}M MACs",
                told(cut, n),
                told_apart,
                None,
                n,
                "",
            )
        )
        raw["gaps"].setdefault(name, {})[str(epochs)] = round(100 * (cut - alone), 2)
    if len(both) >= 8:
        cut, alone = zip(*both.values(), strict=True)
        macs = [cost(children()[name]).macs for name in both]
        tau, null = kendalltau(cut, alone).statistic, kendalltau(macs, alone).statistic
        rows.append(
            Row(f"{epochs} epochs: Kendall tau with alone", f"{tau:.2f}", f"MACs alone {null:.2f}", None, len(both), "")
        )
    return rows


def ablated(study: Study, epochs: int) -> list[Row]:
    """The mean of five children, with each ingredient of the method left out."""

    def row(name: str, scores: Sequence[float]) -> Row:
        what = f"{epochs} epochs, {name}: mean of five children"
        return Row(
            what,
            f"{statistics.mean(scores):.1%}",
            ", ".join(f"{one:.1%}" for one in scores),
            None,
            len(study.images.val),
            "",
        )

    done = [method for method in METHODS.values() if Job("supernet", method.name, epochs).path(study).exists()]
    rows = [row(one.name, [study.cut(one, epochs, name, spec) for name, spec in first_five().items()]) for one in done]
    if WHOLE in done:
        rows.append(row("without calibration", [study.uncalibrated(epochs, *one) for one in first_five().items()]))
    return rows


def drawn_curves(study: Study, lengths: Sequence[int], raw: dict) -> None:
    """docs/supernet-long.svg: the ends after every epoch, and children less the same networks alone, by length."""
    with _figure(3.2) as figure:
        left, right = figure.subplots(1, 2)
        for epochs, color in zip(lengths, (ORANGE, BLUE, INK), strict=False):
            curve = raw["curves"].get(str(epochs), [])
            for name, style in (("biggest", "-"), ("smallest", "--")):
                left.plot([one["step"] for one in curve], [100 * one[name] for one in curve], style, color=color,
                          linewidth=1, label=f"{epochs} epochs" if name == "biggest" else None)  # fmt: skip
        left.set_xlabel("step")
        left.set_ylabel("top-1, %")
        left.legend(
            frameon=False, fontsize=6.5, loc="lower right", title="solid: biggest, dashed: smallest", title_fontsize=6.5
        )
        for at, (name, spec) in enumerate(first_five().items()):
            gaps = {int(epochs): points for epochs, points in raw["gaps"].get(name, {}).items()}
            label = f"{name}, {cost(spec).macs / 1e6:.1f}M"
            right.plot(
                sorted(gaps),
                [gaps[x] for x in sorted(gaps)],
                "o-",
                color=f"C{at}",
                label=label,
                linewidth=1,
                markersize=3,
            )
        right.axhline(0, color=INK, linewidth=0.6)
        right.set_xlabel("epochs of both")
        right.set_xscale("log")
        right.set_xticks(lengths, [str(epochs) for epochs in lengths], minor=False)
        right.minorticks_off()
        right.set_ylabel("cut out less alone, points")
        right.legend(frameon=False, fontsize=6.5)
        figure.set_label(
            "A supernet's ends by step, and its children's top-1 less that of the same networks trained alone."
        )
        plot.save(figure, Path(__file__).parents[1] / "docs" / "supernet-long.svg")
        plot.save(figure, study.out / "supernet-long.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("val")
    parser.add_argument("--out", type=Path, default=Path("supernet-long"))
    parser.add_argument("--lengths", default="10,30,100")
    parser.add_argument("--seconds", type=float, default=500.0)
    parser.add_argument("--job", nargs=3, metavar=("WHAT", "NAME", "EPOCHS"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    study = Study(load_data(asked.train, val=asked.val), asked.out, where=device(), batch=BATCH)
    if asked.job:
        what, name, epochs = asked.job
        Job(what, name, int(epochs)).do(study)
        return
    lengths = [int(epochs) for epochs in asked.lengths.split(",")]
    spread_out(study, jobs(lengths), sys.argv[1:], asked.seconds)
    raw: dict = {"curves": {}, "gaps": {}}
    for epochs in lengths:
        curve = asked.out / f"whole-{epochs}.curve.json"
        if curve.exists():
            raw["curves"][str(epochs)] = json.loads(curve.read_text())
    rows = [row for epochs in lengths for row in compared(study, epochs, raw)]
    rows += ablated(study, lengths[len(lengths) // 2])
    note = (
        f"top-1 with the 95 % interval of the validation images; one seed; batch {BATCH}, bfloat16 where the device has "
        "it. Trained on: by labels for 15 % of the steps at 5 % of the peak rate, points gained. Labels first: for half of the "
        "steps."
    )
    save(
        "supernet_long",
        "One set of weights, any child, trained long",
        "the same specs trained alone",
        rows,
        note,
        raw=raw,
    )
    drawn_curves(study, lengths, raw)


if __name__ == "__main__":
    main()
