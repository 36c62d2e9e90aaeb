"""What kernels over time are worth where one frame says nothing: moving-digits by three networks.

    python bench/moving_digits.py --runs FOLDER [--seeds 0,1,2] [--epochs 15] [--arms image,late,all] [--set KEY=VALUE]...
    python bench/moving_digits.py --runs FOLDER --merge

A narrow ResNet-18 on films of 8 classes: `image` sees one frame, `late` reads 8 frames and has kernels over time in its last two
stages, `all` in all four. All three have the same convolutions for pictures, the same recipe (clips), order of the data and draws.
One frame's distribution is the same for every class, so that `image` can do no better than 1 in 8.

A process runs on one thread, and several can share FOLDER with other seeds or arms each. A run that is whole is not done again; one
that was stopped goes on. `--merge` makes of all there is `results/moving_digits.json`.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path

import torch

import convsmith as cs
from common import Row, answer, save
from convsmith.api.verbs import train
from convsmith.arch import ArchSpec
from convsmith.costs import cost
from convsmith.families.inflated import inflated
from convsmith.jobs.folders import resume
from convsmith.jobs.options import Options
from convsmith.runs import RunFolder

SIDE, FRAMES, STRIDE = 32, 8, 2
WIDTHS = (16, 32, 64, 128)
KERNELS = {"late": (1, 1, 3, 3), "all": (3, 3, 3, 3)}
SAID = {
    "image": "one frame",
    "late": "8 frames, kernels over time in the last two stages",
    "all": "8 frames, in all stages",
}
CHANCE = 1 / 8


def network(arm: str) -> ArchSpec:
    base = cs.spec("resnet18", resolution=SIDE)
    stages = tuple(replace(stage, width=width) for stage, width in zip(base.stages, WIDTHS, strict=True))
    narrow = replace(
        base, name="narrow18", stem=replace(base.stem, width=WIDTHS[0], kernel=3, pool=False), stages=stages
    )
    return narrow if arm == "image" else inflated(narrow, frames=FRAMES, stride=STRIDE, kernels=KERNELS[arm])


def run(arm: str, seed: int, folder: Path, epochs: int, settings: list[str]) -> RunFolder:
    """The run, finished, whatever was done of it before."""
    name = f"{arm}-seed{seed}"
    if (folder / name / "config.json").exists():
        return resume(folder / name)
    told = Options(
        recipe="clips", settings=(f"epochs={epochs}", *settings), seed=seed, name=name, parent=folder, device="cpu"
    )
    return train(network(arm), "moving-digits", options=told)


def merge(folder: Path, *, trial: bool) -> None:
    rows, raw = [], {}
    for arm, said in SAID.items():
        whole = [
            RunFolder.open(path) for path in sorted(folder.glob(f"{arm}-seed*")) if (path / "scores.json").is_file()
        ]
        if not whole:
            continue
        shares = [one.scores["top1"] for one in whole]
        views = [cs.Run.open(one.path).evaluate(views="4")["top1"] for one in whole]
        found = cost(whole[0].spec)
        met = all(abs(share - CHANCE) < 0.06 for share in shares) if arm == "image" else min(shares) > 2 * CHANCE
        raw[arm] = {"top1": shares, "top1_of_4_views": views, "epochs": [one.config.recipe["epochs"] for one in whole]}
        spread = f" ({min(shares):.1%}-{max(shares):.1%})" if len(shares) > 1 else ""
        rows.append(Row(
            f"{said}: {found}", f"{statistics.mean(shares):.1%}{spread}", f"4 clips: {statistics.mean(views):.1%}", None,
            len(shares), "near 12.5 %" if arm == "image" else "far above 12.5 %", answer(met),
        ))  # fmt: skip
    save(
        "moving_digits", "Moving digits: what one frame does not say", "averaged over 4 clips", rows,
        "Top-1 on 400 films of digits that no training film has: the mean over seeds, the least and the most.", raw, trial=trial,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--arms", default="image,late,all")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--trial", action="store_true", help="write nothing")
    asked = parser.parse_args()
    if asked.merge:
        merge(asked.runs, trial=asked.trial)
        return
    torch.set_num_threads(1)
    for seed in map(int, asked.seeds.split(",")):
        for arm in asked.arms.split(","):
            done = run(arm, seed, asked.runs, asked.epochs, asked.settings)
            print(f"{done.path.name}: {done.scores['top1']:.1%}", flush=True)


if __name__ == "__main__":
    main()
