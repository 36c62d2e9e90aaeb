"""Children against the same networks alone: `bench/supernet.py`'s question on a CUDA device, where a second does more.

    python bench/supernet_long.py TRAIN.npz VAL.npz [--out FOLDER] [--lengths 10,30] [--seconds 500]

T32 as there, in batches of 128, five children, single precision: at this size bfloat16 is slower (`bench/gpu.py`). Each training
is a process of its own, forked, the longest first, many beside each other. Where the seconds end before a training does, what
is told of it is left out; run again with the same folder, it is made up for.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from common import Row, save
from convsmith import plot
from convsmith.costs import cost
from convsmith.data import ImageData, load_data
from convsmith.evals.intervals import wilson
from convsmith.plot import BLUE, INK, ORANGE, _figure
from convsmith.recipe import Precision, Recipe
from convsmith.resolve import device
from convsmith.trials import Trial, train_one
from supernet import TUNING, WHOLE, Study, _keep, first_five, recipe

BATCH = 128


class Long(Study):
    def recipe(self, epochs: int, *, floor: float = 0.05) -> Recipe:
        return replace(recipe(epochs, floor=floor), batch=BATCH, precision=Precision.FP32)


@dataclass(frozen=True)
class Job:
    """One training: `supernet whole EPOCHS`, `alone CHILD EPOCHS` or `tuned CHILD EPOCHS`."""

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
                return study.out / "scores" / f"cut-whole-{self.epochs}-{list(first_five())[-1]}.json"
            case "alone":
                return study.out / "alone" / f"{self._trial(study).key(study.data)}.json"
            case _:
                return study.out / "scores" / f"tuned-{TUNING:g}-{self.epochs}-{self.name.replace(' ', '-')}.json"

    def ready(self, study: Study) -> bool:
        return self.what != "tuned" or Job("supernet", WHOLE.name, self.epochs).path(study).exists()

    def do(self, study: Study) -> None:
        match self.what:
            case "supernet":
                for name, spec in first_five().items():
                    study.cut(WHOLE, self.epochs, name, spec)
            case "alone":
                outcome = train_one(self._trial(study), study.images, self.path(study).with_suffix(".pt"))
                _keep(self.path(study), asdict(outcome))
            case _:
                study.tuned(self.epochs, self.name, first_five()[self.name], TUNING)

    def _trial(self, study: Study) -> Trial:
        return Trial(study._own(first_five()[self.name]), study.recipe(self.epochs), 0)


def spread_out(study: Study, lengths: Sequence[int], seconds: float) -> None:
    """Do what is not done yet, as many beside each other as there are cores for, until the seconds end.

    This process has not touched the device, so that forks of it may.
    """
    todo = [Job("supernet", WHOLE.name, epochs) for epochs in lengths]
    todo += [Job(what, name, epochs) for what in ("alone", "tuned") for epochs in lengths for name in first_five()]
    todo = sorted((job for job in todo if not job.path(study).exists()), key=lambda job: -job.effort)
    began, running = time.monotonic(), dict[BaseProcess, Job]()
    most = max(1, (os.cpu_count() or 2) - 2)
    while (todo or running) and time.monotonic() - began < seconds:
        for process, job in list(running.items()):
            if not process.is_alive():
                del running[process]
                print(f"{time.monotonic() - began:.0f} s: {job}, {process.exitcode}", flush=True)
        for job in [job for job in todo if job.ready(study)][: most - len(running)]:
            todo.remove(job)
            process = get_context("fork").Process(target=_done, args=(job, study.images, study.out))
            process.start()
            running[process] = job
        time.sleep(0.2)
    for process in running:
        process.kill()


def _done(job: Job, images: ImageData, out: Path) -> None:
    torch.set_num_threads(1)
    job.do(Long(images, out, where=device()))


# ---- what it says ----------------------------------------------------------------------------------------------------


def compared(study: Study, epochs: int, gaps: dict[str, dict[str, float]]) -> list[Row]:
    """Each child beside the same network alone, where both are done; `gaps` gets the differences in points."""

    def told(share: float) -> str:
        low, high = wilson(round(share * n), n)
        return f"{share:.1%} [{low:.1%}, {high:.1%}]"

    n, rows = len(study.images.val), []
    steps = epochs * (len(study.images.train) // BATCH)
    for name, spec in first_five().items():
        both, tuned = (Job("supernet", WHOLE.name, epochs), Job("alone", name, epochs)), Job("tuned", name, epochs)
        if not all(job.path(study).exists() for job in both):
            continue
        cut = study.cut(WHOLE, epochs, name, spec)
        alone = float(json.loads(both[1].path(study).read_text())["top1"])
        points = gaps.setdefault(name, {})[str(epochs)] = round(100 * (cut - alone), 2)
        apart = f"alone {told(alone)}; cut out - alone {points:+.1f}"
        if tuned.path(study).exists():
            apart += f"; trained on {100 * (study.tuned(epochs, name, spec, TUNING) - cut):+.1f}"
        what = f"{epochs} epochs, {steps} steps: {name}, {cost(spec).macs / 1e6:.2f}M MACs"
        rows.append(Row(what, told(cut), apart, None, n, ""))
    return rows


def drawn_curves(study: Study, lengths: Sequence[int], curves: dict, gaps: dict) -> None:
    """docs/supernet-long.svg: the ends after every epoch, and children less the same networks alone, by length."""
    with _figure(3.2) as figure:
        left, right = figure.subplots(1, 2)
        for epochs, color in zip(lengths, (ORANGE, BLUE, INK), strict=False):
            curve = curves.get(str(epochs), [])
            for name, style in (("biggest", "-"), ("smallest", "--")):
                label = f"{epochs} epochs" if name == "biggest" else None
                tops = [100 * one[name] for one in curve]
                left.plot([one["step"] for one in curve], tops, style, color=color, linewidth=1, label=label)
        left.set_xlabel("step")
        left.set_ylabel("top-1, %")
        title = "solid: biggest, dashed: smallest"
        left.legend(frameon=False, fontsize=6.5, loc="lower right", title=title, title_fontsize=6.5)
        for at, (name, spec) in enumerate(first_five().items()):
            xs = sorted(int(epochs) for epochs in gaps.get(name, {}))
            label = f"{name}, {cost(spec).macs / 1e6:.1f}M"
            points = [gaps[name][str(x)] for x in xs]
            right.plot(xs, points, "o-", color=f"C{at}", label=label, linewidth=1, markersize=3)
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
    parser.add_argument("--lengths", default="10,30")
    parser.add_argument("--seconds", type=float, default=500.0)
    asked = parser.parse_args()
    lengths = [int(epochs) for epochs in asked.lengths.split(",")]
    study = Long(load_data(asked.train, val=asked.val), asked.out)
    spread_out(study, lengths, asked.seconds)
    kept = {epochs: asked.out / f"whole-{epochs}.curve.json" for epochs in lengths}
    curves = {str(epochs): json.loads(path.read_text()) for epochs, path in kept.items() if path.exists()}
    gaps: dict[str, dict[str, float]] = {}
    rows = [row for epochs in lengths for row in compared(study, epochs, gaps)]
    note = (
        f"T32, 20,000 CIFAR-10 images, batch {BATCH}, float32, one seed; top-1 with the 95 % interval of the validation images. "
        "Trained on: by labels for 15 % of the steps at 5 % of the peak rate, points gained."
    )
    name = "One set of weights, any child, on a GPU"
    save("supernet_long", name, "the same specs trained alone", rows, note, raw={"curves": curves, "gaps": gaps})
    drawn_curves(study, lengths, curves, gaps)


if __name__ == "__main__":
    main()
