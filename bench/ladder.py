"""What each ingredient of ResNet-RS's recipe adds to a small ResNet-RS on real images: the ladder, under several seeds.

    python bench/ladder.py TRAIN.npz VAL.npz [--out FOLDER] [--images N] [--epochs N] [--seeds N] [--workers N]

Draws docs/ladder.svg, and keeps each training in the folder.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from common import Row, save
from convsmith.codec import to_json
from convsmith.jobs.options import Options
from convsmith.jobs.studies.climb import climb
from small import divided, resnet_rs

# What a table by size would leave out for a network this small is set, so that the study has its step.
SETTINGS = ("batch=64", "warmup=1", "drop_path=0.1", "dropout=0.25", "average=0.998")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("val")
    parser.add_argument("--out", type=Path, default=Path("ladder-study"))
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        part, spec = Path(scratch) / "part.npz", Path(scratch) / "resnetrs-small.json"
        divided(Path(asked.train), asked.images, part)
        spec.write_text(to_json(resnet_rs()), encoding="utf-8")
        options = Options(recipe="resnet-rs", settings=(*SETTINGS, f"epochs={asked.epochs}"), val=asked.val)
        made = climb(spec, part, out=asked.out, seeds=asked.seeds, options=options, workers=asked.workers)
    rows = []
    for rung in made.rungs:
        low, high = rung.interval or (float("nan"),) * 2
        gained = ""
        if rung.gain is not None:
            ends = rung.gain_interval or (float("nan"),) * 2
            gained = f"{100 * rung.gain:+.1f} [{100 * ends[0]:+.1f}, {100 * ends[1]:+.1f}] points"
        rows.append(Row(rung.name, f"{rung.mean:.1%} [{low:.1%}, {high:.1%}]", gained, None, asked.seeds, ""))
    save("ladder", "What each ingredient adds", "gain over the step above", rows, note=(
        f"A ResNet-RS of 1-2-1 blocks and 8 to 128 channels at 24 px; {asked.images} training images, {asked.epochs} epochs at "
        f"the top and {round(asked.epochs * 90 / 350)} at the bottom; mean of {asked.seeds} seeds with Student's 95 % interval, "
        "gains seed by seed."
    ))  # fmt: skip
    shutil.copy(asked.out / "bars.svg", Path(__file__).parents[1] / "docs" / "ladder.svg")


if __name__ == "__main__":
    main()
