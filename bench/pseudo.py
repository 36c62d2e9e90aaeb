"""Pseudo-labels: 2,000 labelled images alone, and with 18,000 that a teacher trained on them has labelled.

    python bench/pseudo.py TRAIN.npz VAL.npz [--out FOLDER] [--seeds N] [--epochs N]

The teacher is the network trained on the labelled images alone; the student the same network, trained for as many steps on both.
Every training is a run folder, so that a study that was stopped goes on.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch

from common import Row, save
from convsmith.api.verbs import train
from convsmith.evals.intervals import student
from convsmith.jobs.folders import resume
from convsmith.jobs.options import Options
from convsmith.jobs.pseudo import pseudo_label
from convsmith.runs import RunFolder
from small import divided, resnet_rs

LABELLED, RATIO = 2000, 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("val")
    parser.add_argument("--out", type=Path, default=Path("pseudo-study"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    labelled, rest = asked.out / "labelled.npz", asked.out / "unlabelled.npz"
    if not rest.exists():
        divided(Path(asked.train), LABELLED, labelled, rest)
    alone, joint, kept, right = [], [], [], []
    for seed in range(asked.seeds):
        common = {"recipe": "quick", "val": asked.val, "seed": seed, "parent": asked.out}
        teacher = done(asked.out / f"teacher-{seed}", labelled, Options(
            settings=(f"epochs={asked.epochs}",), name=f"teacher-{seed}", **common
        ))  # fmt: skip
        labels = asked.out / f"pseudo-{seed}.json"
        made = pseudo_label(teacher, rest, labels, threshold=0.5, balance=1000)
        kept.append(len(made.rows))
        # An epoch is over 1 + RATIO times as many images, so fewer of them make as many steps.
        settings = (f"epochs={round(asked.epochs / (1 + RATIO))}",)
        learner = done(asked.out / f"student-{seed}", labelled, Options(
            settings=settings, name=f"student-{seed}", pseudo=labels, pseudo_ratio=RATIO, **common
        ))  # fmt: skip
        for runs, run in ((alone, teacher), (joint, learner)):
            runs.append(run.scores["top1"])
        right.append(joint[-1] - alone[-1])
    n = teacher.scores.n
    rows = [
        Row("2,000 labelled alone", told(alone), "", None, len(alone), ""),
        Row("and 18,000 that it labelled itself", told(joint), "", None, len(joint), ""),
        Row("gain, seed by seed, points", points(right), "", None, len(right), ""),
        Row(
            "pseudo-labels kept: at least 0.5 sure, 1,000 of each class",
            f"{statistics.mean(kept):.0f}",
            "",
            None,
            len(kept),
            "",
        ),
    ]
    save("pseudo", "Pseudo-labels", "", rows, note=(
        f"A ResNet-RS of 8 to 128 channels at 24 px, the quick recipe, as many steps each ({asked.epochs} epochs of 2,000 images); "
        f"top-1 on {n} images, Student's 95 % interval over seeds."
    ))  # fmt: skip


def done(folder: Path, data: Path, options: Options) -> RunFolder:
    """The run of that name, finished, whatever was done of it before."""
    if (folder / "config.json").exists():
        return resume(folder)
    return train(resnet_rs(), data, options=options)


def told(scores: list[float]) -> str:
    low, high = student(scores) or (float("nan"),) * 2
    return f"{statistics.mean(scores):.1%} [{low:.1%}, {high:.1%}]"


def points(gains: list[float]) -> str:
    low, high = student(gains) or (float("nan"),) * 2
    return f"{100 * statistics.mean(gains):+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


if __name__ == "__main__":
    main()
