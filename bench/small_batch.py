"""Small batches: batch norm, its absence, EvoNorm and group norm at batch 4, 16 and 128, equal epochs.

    python bench/small_batch.py TRAIN.npz VAL.npz [--out FOLDER] [--workers N]

A pre-activation ResNet of 16 to 128 channels at 24 px; every cell is the mean of three seeds with the 95 % interval over
seeds. The rate goes with the batch (rate * batch / 256). Trials are kept in the folder, so that a stop loses nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import replace
from pathlib import Path

from broken import nf, preact
from common import Row, save
from convsmith.arch import ArchSpec
from convsmith.data import load_data
from convsmith.evals.intervals import student
from convsmith.jobs.studies.trials import Trial, train_all
from convsmith.layers.evonorm import EvoNormKind
from convsmith.parts import EvoNorm, GroupNorm
from convsmith.recipes import recipe

BATCHES, SEEDS, EPOCHS, RATE = (128, 16, 4), (0, 1, 2), 5, 0.4


def networks() -> dict[str, ArchSpec]:
    base, free = (_small(one((1, 1, 1, 1), width=8)) for one in (preact, nf))
    return {
        "BN": base,
        "NF, Scaled WS": free,
        "EvoNorm-S0": base.with_style(norm=EvoNorm()),
        "EvoNorm-B0": base.with_style(norm=EvoNorm(variant=EvoNormKind.B0)),
        "GroupNorm": base.with_style(norm=GroupNorm()),
    }


def _small(spec: ArchSpec) -> ArchSpec:
    stages = tuple(replace(stage, stride=1 if at == 0 else 2, width=16 * 2**at) for at, stage in enumerate(spec.stages))
    stem = replace(spec.stem, width=16, kernel=3, stride=1)
    return replace(spec, stem=stem, stages=stages).with_resolution(24).with_classes(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("val")
    parser.add_argument("--out", type=Path, default=Path("small_batch"))
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    images = load_data(asked.train, val=asked.val)
    own = replace(recipe("quick"), epochs=EPOCHS, rate=RATE, average=0.0, clip=0.0, warmup=1)
    cells = [
        (name, batch, Trial(spec, replace(own, batch=batch), seed))
        for name, spec in networks().items()
        for batch in BATCHES
        for seed in SEEDS
    ]
    outcomes = train_all([trial for *_, trial in cells], images, asked.out, workers=asked.workers)
    rows = []
    for name in networks():
        for batch in BATCHES:
            mine = [out for (n, b, _), out in zip(cells, outcomes, strict=True) if (n, b) == (name, batch)]
            failed = [out.failed for out in mine if out.failed]
            scores = [out.top1 for out in mine if not out.failed]
            told = "-" if not scores else f"{statistics.mean(scores):.1%}"
            if len(scores) > 1:
                low, high = student(scores) or (float("nan"),) * 2
                told += f" [{low:.1%}, {high:.1%}]"
            reference = f"{len(failed)} of {len(mine)} diverged" if failed else ""
            rows.append(Row(f"{name}, batch {batch}", told, reference, None, len(scores), ""))
            print(rows[-1].cells(), file=sys.stderr)
    save("small_batch", "Norms at small batches", "", rows, note=(
        f"top-1 on {len(images.val)} images after {EPOCHS} epochs of {len(images.train)}, rate {RATE} * batch / 256, SGD, one "
        "cosine, no clipping and no moving average; an interval is of the mean over seeds"
    ))  # fmt: skip


if __name__ == "__main__":
    main()
