"""The tiny formula against inverse compound scaling at equal counted multiply-adds, each member trained under several seeds.

    python bench/tiny_against.py TRAIN.npz VAL.npz [--out FOLDER] [--seeds N] [--workers N]

A ResNet of three basic blocks a stage, 12 to 96 channels, at 24 px is shrunk by both rules, tiny by the published curves, widths to
multiples of 2 rather than 8: narrow networks have wide stairs. What is compared is as equal in cost as the rest of the stairs
allows, and the ratio is told.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from common import Row, save
from convsmith.arch import ArchSpec
from convsmith.costs import cost
from convsmith.data import load_data
from convsmith.families import spec
from convsmith.jobs.studies.trials import Trial, train_all
from convsmith.recipes import recipe
from convsmith.scaling import Compound, InverseCompound, Tiny, solve
from convsmith.units import Budget, RoundDepth, Rounding
from pseudo import points, told
from small import divided

# The foil has no member between 1/8 and 1/17: its stages lose their second block all at once.
SHARES, IMAGES, EPOCHS = (1 / 2, 1 / 4, 1 / 7, 1 / 18), 4000, 6
FINE = Rounding(depth=RoundDepth.NEAREST, width_to=2)
TINY, INVERSE = Tiny(rounding=FINE), InverseCompound(Compound(rounding=FINE))


def base() -> ArchSpec:
    """Three basic blocks a stage, on maps of 24, 12, 6 and 3 px."""
    whole = spec("resnet18")
    widths, strides = (12, 24, 48, 96), (1, 2, 2, 2)
    stages = tuple(
        replace(stage, depth=3, width=width, stride=stride)
        for stage, width, stride in zip(whole.stages, widths, strides, strict=True)
    )
    stem = replace(whole.stem, width=12, kernel=3, stride=1, pool=False)
    return replace(whole, name="resnet26-small", stem=stem, stages=stages).with_resolution(24).with_classes(10)


def pair(share: float) -> tuple[ArchSpec, ArchSpec]:
    """(tiny, inverse compound): of the members within the share and 5 % beyond, the two that cost most nearly the same."""
    best: tuple[float, ArchSpec, ArchSpec] | None = None
    for step in range(-6, 6):
        limit = share * (1 + step / 100) * cost(base()).macs
        foil = solve(INVERSE, base(), Budget(macs=limit), cost).spec
        own = solve(TINY, base(), Budget(macs=cost(foil).macs), cost).spec
        gap = abs(cost(own).macs / cost(foil).macs - 1)
        if best is None or gap < best[0]:
            best = (gap, own, foil)
    assert best is not None
    return best[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("val")
    parser.add_argument("--out", type=Path, default=Path("tiny-study"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    own = replace(recipe("quick"), epochs=EPOCHS)
    pairs = [pair(share) for share in SHARES]
    trials = [Trial(one, own, seed) for both in pairs for one in both for seed in range(asked.seeds)]
    with tempfile.TemporaryDirectory() as scratch:
        part = Path(scratch) / "part.npz"
        divided(Path(asked.train), IMAGES, part)
        images = load_data(part, val=asked.val)
    outcomes = iter(train_all(trials, images, asked.out, workers=asked.workers))
    rows = []
    for share, both in zip(SHARES, pairs, strict=True):
        tiny, foil = ([next(outcomes).top1 for _ in range(asked.seeds)] for _ in both)
        ratio = cost(both[0]).macs / cost(both[1]).macs
        gap = [a - b for a, b in zip(tiny, foil, strict=True)]
        sides = " and ".join(f"{one.input.resolution} px" for one in both)
        rows.append(
            Row(
                f"1/{round(1 / share)} of the base ({cost(both[1]).macs / 1e6:.2f}M MACs, tiny's {ratio:.2f} of them; {sides})",
                told(tiny),
                f"{told(foil)}; tiny - inverse {points(gap)} points",
                None,
                asked.seeds,
                "",
            )
        )
        print(rows[-1].cells(), flush=True)
    mean = statistics.mean(outcome.top1 for outcome in train_all(trials, images, asked.out))
    save("tiny_against", "The tiny formula against inverse compound scaling", "inverse compound", rows, note=(
        f"{IMAGES} images, {EPOCHS} epochs of the quick recipe, top-1 on {len(images.val)} images (mean of all {mean:.1%}), "
        "Student's 95 % interval over seeds. The published curves, which were fitted to EfficientNet-B0 on ImageNet."
    ))  # fmt: skip


if __name__ == "__main__":
    main()
