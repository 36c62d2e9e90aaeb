"""Mask R-CNN against torchvision's of the same trunk, heads and weights, and COCO's numbers against pycocotools.

    python bench/detection_speed.py [--trunk resnet18] [--side 256] [--batch 2] [--rounds N] [--images 5000] [--trial]

A step is forward, the five losses, backward and SGD, on pictures and truths that lie ready in the form that each side takes:
whole masks there, cropped ones here. Inference ends with outlines in the pictures' own pixels, ours as runs, theirs as maps of the
picture's size. Both begin with the same weights, read the same numbers of anchors and regions, and find the same things. The
memory is that of a process of its own: the most that it held during steps, less what it held before the first one.

COCO's numbers are of drawn scenes: ellipses among 80 classes, and detections that hit, miss and double. Each side begins with what
a detector has put out, in memory, and ends with the twelve numbers by masks. A `--trial` writes no result.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import io
import multiprocessing
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN as TheirMaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

import convsmith as cs
from common import Row, inverse, judged, rounds, save, spread
from convsmith.data import Instances
from convsmith.data.moves import Move
from convsmith.data.targets.objects import CROP, Truth
from convsmith.evals.coco import average_precision
from convsmith.evals.detections import in_pictures
from convsmith.evals.matching import Found
from convsmith.jobs.feed import normaliser
from convsmith.layers.detection import Geometry
from convsmith.parts.necks.fpn import Form, Top
from convsmith.recipes import DETECT_SCRATCH
from convsmith.rle import to_string
from convsmith.tasks import Detect
from convsmith.weights import Origin, fitted

CLASSES, OBJECTS, SAMPLES = 80, 7, 128  # of a picture, the last two
CPU = torch.device("cpu")
TASK = Detect(region_samples=SAMPLES)
HEIGHT, WIDTH = 480, 640  # of the scenes that are scored


# ---- both detectors --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    trunk: str
    side: int
    batch: int

    @property
    def spec(self) -> cs.ArchSpec:
        """torchvision's first form: no norm in neck and heads, two linear layers for boxes."""
        return cs.detector(
            cs.spec(self.trunk).with_resolution(self.side), CLASSES, norm=cs.NoNorm(act=cs.Act.RELU), box_convs=0, box_fcs=2,
            form=Form.TORCHVISION, top=Top.SUBSAMPLE, geometry=Geometry.TORCHVISION, ratios=(2.0, 1.0, 0.5), regions=500,
        )  # fmt: skip


def theirs(setting: Setting) -> nn.Module:
    torch.manual_seed(0)
    trunk = resnet_fpn_backbone(
        backbone_name=setting.trunk, weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )
    settings = numbers_of(setting)
    model = TheirMaskRCNN(
        trunk, num_classes=CLASSES + 1, min_size=setting.side, max_size=setting.side,
        rpn_pre_nms_top_n_train=settings.candidates[0], rpn_pre_nms_top_n_test=settings.candidates[1],
        rpn_post_nms_top_n_train=settings.regions[0], rpn_post_nms_top_n_test=settings.regions[1],
        rpn_batch_size_per_image=TASK.anchor_samples, box_batch_size_per_image=SAMPLES, box_score_thresh=settings.score,
    )  # fmt: skip
    with torch.no_grad():  # spread, so that things are found
        for layer in (model.rpn.head.cls_logits, model.rpn.head.bbox_pred, model.roi_heads.box_predictor.cls_score):
            layer.weight.mul_(10)
    return model


def numbers_of(setting: Setting) -> Any:
    return setting.spec.head.settings((4, 8, 16, 32, 64))


def ours(setting: Setting) -> nn.Module:
    fit = fitted(setting.spec, Origin("torchvision's", theirs(setting).state_dict()))
    assert not fit.fresh, "every weight is torchvision's"
    model = cs.build(fit.spec)
    model.load_state_dict(fit.state)
    return model


# ---- what they are shown ---------------------------------------------------------------------------------------------


def pictures(setting: Setting) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (setting.batch, 3, setting.side, setting.side), generator=generator, dtype=torch.uint8)


def boxes_of(setting: Setting) -> list[np.ndarray]:
    """Whole pixels, so that a mask may fill its box exactly on both sides."""
    rng = np.random.default_rng(0)
    corner = rng.integers(0, setting.side // 2, (setting.batch, OBJECTS, 2))
    extent = rng.integers(setting.side // 16, setting.side // 2, (setting.batch, OBJECTS, 2))
    return list(np.concatenate([corner, corner + extent], axis=2).astype(np.float32))


def labels_of(setting: Setting) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(1, CLASSES + 1, (OBJECTS,), generator=generator) for _ in range(setting.batch)]


def our_answers(setting: Setting) -> Instances:
    masks = tuple(torch.ones(OBJECTS, CROP, CROP, dtype=torch.uint8) for _ in range(setting.batch))
    boxes = tuple(torch.from_numpy(one) for one in boxes_of(setting))
    return Instances(boxes, tuple(labels_of(setting)), masks, (), ())


def their_answers(setting: Setting) -> list[dict[str, Tensor]]:
    found = []
    for boxes, labels in zip(boxes_of(setting), labels_of(setting), strict=True):
        masks = torch.zeros(OBJECTS, setting.side, setting.side, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
            mask[y1:y2, x1:x2] = 1
        found.append({"boxes": torch.from_numpy(boxes), "labels": labels, "masks": masks})
    return found


# ---- what is timed ---------------------------------------------------------------------------------------------------


def stepping(model: nn.Module, loss_of: Callable[[], Tensor]) -> Callable[[], object]:
    model.train()
    # So small a rate that regions stay what they are from round to round.
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-7, momentum=0.9, fused=True)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss_of().backward()
        optimiser.step()

    return step


def our_step(setting: Setting) -> Callable[[], object]:
    model, prepare = ours(setting), normaliser(setting.spec, CPU)
    images, answers = pictures(setting), our_answers(setting)
    return stepping(model, lambda: TASK.loss(model, prepare(images), answers, DETECT_SCRATCH).loss)


def their_step(setting: Setting) -> Callable[[], object]:
    model, images, answers = theirs(setting), list(pictures(setting).float() / 255), their_answers(setting)
    return stepping(model, lambda: torch.stack(list(model(images, answers).values())).sum())


def our_answer(setting: Setting) -> Callable[[], list[Found]]:
    model, prepare, images = ours(setting).eval(), normaliser(setting.spec, CPU), pictures(setting)
    sides = (setting.side, setting.side)
    moves, sizes = [Move.identity()] * setting.batch, [sides] * setting.batch

    @torch.inference_mode()
    def answer() -> list[Found]:
        return in_pictures(model(prepare(images)), moves, sizes, CLASSES)

    return answer


def their_answer(setting: Setting) -> Callable[[], list[dict[str, Tensor]]]:
    model, images = theirs(setting).eval(), list(pictures(setting).float() / 255)
    return torch.inference_mode()(lambda: model(images))


SIDES = {"ours": our_step, "torchvision": their_step}


def most_held(who: str, setting: Setting, line: Connection) -> None:
    """MiB that steps take on top of what the network and its batch hold."""
    step = SIDES[who](setting)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what building the network left
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    before = _told("VmRSS")
    for _ in range(3):
        step()
    line.send(_told("VmHWM") - before)


def _told(name: str) -> float:
    """What Linux says of this process, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def memory(who: str, setting: Setting) -> float:
    spawn = multiprocessing.get_context("spawn")
    receiving, sending = spawn.Pipe(duplex=False)
    process = spawn.Process(target=most_held, args=(who, setting, sending))
    process.start()
    sending.close()  # so that a process that ends is an error here, and not a wait
    found = receiving.recv()
    process.join()
    return float(found)


def check_found(mine: list[Found], other: list[dict[str, Tensor]]) -> None:
    """Both have as much to draw, but for what rounding decides."""
    counts = sum(map(len, mine)), sum(len(one["scores"]) for one in other)
    if min(counts) == 0 or abs(counts[0] - counts[1]) > 0.05 * counts[1]:
        raise SystemExit(f"ours finds {counts[0]} things and torchvision's {counts[1]}: their times say nothing")


def detector_rows(setting: Setting, n: int) -> list[Row]:
    rows = []
    for what, mine, other in (("a training step", our_step, their_step), ("inference", our_answer, their_answer)):
        own, reference = mine(setting), other(setting)
        if what == "inference":
            check_found(own(), reference())
        row, beside = rounds(own, reference, n=n)
        cells = (spread(side, scale=setting.batch, unit="images/s", per_second=True) for side in (row, beside))
        found = inverse(row, beside)
        rows.append(Row(what, *cells, found, n, "never below 1.0", judged(found, least=1.0)))
        print(rows[-1].cells(), flush=True)
    times = min(3, n)
    held = {who: statistics.median(memory(who, setting) for _ in range(times)) for who in SIDES}
    rows.append(Row("memory of steps", f"{held['ours']:,.0f} MiB", f"{held['torchvision']:,.0f} MiB", None, times, ""))
    return rows


# ---- COCO's numbers --------------------------------------------------------------------------------------------------


def ellipse(box: np.ndarray) -> np.ndarray:
    """The runs of the largest ellipse in a box (x1, y1, x2, y2) that lies within the picture, without a map of it."""
    x1, y1, x2, y2 = box
    columns = np.arange(int(x1), int(x2))
    across = (columns + 0.5 - (x1 + x2) / 2) / ((x2 - x1) / 2)
    half = (y2 - y1) / 2 * np.sqrt(np.maximum(1 - across**2, 0))
    top, bottom = (np.round((y1 + y2) / 2 + sign * half).astype(np.int64) for sign in (-1, 1))
    there = bottom > top
    bounds = np.stack([columns[there] * HEIGHT + top[there], columns[there] * HEIGHT + bottom[there]], axis=1)
    return np.diff(np.concatenate(([0], bounds.reshape(-1), [HEIGHT * WIDTH])))


def scene(rng: np.random.Generator, number: int) -> tuple[Truth, Found]:
    """Some ellipses of a picture, and what might be found there: each once or twice, moved a little, and three of nothing."""
    n = int(rng.integers(1, 2 * OBJECTS))
    boxes, labels = drawn_boxes(rng, n), rng.integers(1, CLASSES + 1, n)
    runs = [ellipse(box) for box in boxes]
    areas = np.array([one[1::2].sum() for one in runs], float)
    truth = Truth(boxes, labels, np.zeros(n, bool), areas, tuple(map(to_string, runs)), (HEIGHT, WIDTH), number)
    twice = np.concatenate([np.arange(n), np.flatnonzero(rng.random(n) < 0.7)])
    moved = boxes[twice] + rng.normal(0, 4, (len(twice), 4))
    moved[:, :2] = moved[:, :2].clip(1)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 4).clip(5, (WIDTH - 1, HEIGHT - 1))
    at = np.concatenate([moved, drawn_boxes(rng, 3)])
    guesses = np.concatenate([labels[twice], rng.integers(1, CLASSES + 1, 3)])
    return truth, Found(at, rng.random(len(at)), guesses, tuple(ellipse(box) for box in at))


def drawn_boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    """With a pixel's margin, so that no run of a column touches the next one's."""
    corner = rng.uniform(1, (WIDTH - 130, HEIGHT - 130), (n, 2))
    return np.concatenate([corner, corner + rng.uniform(8, 128, (n, 2))], axis=1)


def as_coco(truths: list[Truth], found: list[Found]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A data set and results as pycocotools takes them."""
    annotations, results = [], []
    for truth, own in zip(truths, found, strict=True):
        image = {"image_id": truth.image_id}
        for k, (box, label) in enumerate(zip(truth.boxes, truth.labels.tolist(), strict=True)):
            annotations.append(
                image | _drawn(truth.rles[k]) | {"id": len(annotations) + 1, "category_id": label, "bbox": _wide(box),
                "area": float(truth.areas[k]), "iscrowd": 0}
            )  # fmt: skip
        for k, label in enumerate(own.labels.tolist()):
            results.append(
                image | _drawn(to_string(own.masks[k])) | {"category_id": label, "score": float(own.scores[k])}
            )
    images = [{"id": one.image_id, "height": HEIGHT, "width": WIDTH} for one in truths]
    categories = [{"id": k, "name": str(k)} for k in range(1, CLASSES + 1)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}, results


def _drawn(counts: bytes) -> dict[str, Any]:
    return {"segmentation": {"size": [HEIGHT, WIDTH], "counts": counts.decode()}}


def _wide(box: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def by_pycocotools(data: dict[str, Any], results: list[dict[str, Any]]) -> np.ndarray:
    with contextlib.redirect_stdout(io.StringIO()):
        whole = COCO()
        whole.dataset = data
        whole.createIndex()
        # It writes into what it is given.
        judge = COCOeval(whole, whole.loadRes([dict(one) for one in results]), "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return np.asarray(judge.stats)


def coco_row(images: int, n: int) -> Row:
    rng = np.random.default_rng(0)
    truths, found = map(list, zip(*(scene(rng, number) for number in range(1, images + 1)), strict=True))
    data, results = as_coco(truths, found)

    def mine() -> tuple[float, ...]:
        return average_precision(truths, found, CLASSES, "mask").numbers

    apart = np.abs(np.array(mine()) - by_pycocotools(data, results)).max()
    assert apart < 1e-9, f"the twelve numbers differ by {apart}"
    row, beside = rounds(mine, lambda: by_pycocotools(data, results), n=n, warm=0)
    things = sum(map(len, truths)), sum(map(len, found))
    what = f"AP by masks of {images:,} pictures, {things[0]:,} objects and {things[1]:,} detections"
    quicker = inverse(row, beside)
    seconds = (spread(side, scale=1e-3, unit="s") for side in (row, beside))
    return Row(what, *seconds, quicker, n, "never below 1.0", judged(quicker, least=1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trunk", default="resnet18")
    parser.add_argument("--side", type=int, default=256, help="of the picture, a multiple of 64")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument(
        "--rounds", type=int, default=20, help="of the detectors; COCO's numbers have a quarter of them"
    )
    parser.add_argument("--images", type=int, default=5000, help="to score")
    parser.add_argument("--trial", action="store_true")
    asked = parser.parse_args()
    setting = Setting(asked.trunk, asked.side, asked.batch)
    rows = [*detector_rows(setting, asked.rounds), coco_row(asked.images, max(1, asked.rounds // 4))]
    save("detection_speed", "Detectors", "torchvision, pycocotools", rows, note=(
        f"{asked.trunk} under a pyramid of 256 channels, {CLASSES} classes, batches of {asked.batch} at {asked.side} px, {OBJECTS} "
        f"objects a picture, {setting.spec.head.regions} regions; trained on {TASK.anchor_samples} anchors and {SAMPLES} regions a "
        f"picture; {torch.get_num_threads()} threads, float32; torchvision {torchvision.__version__}, pycocotools "
        f"{version('pycocotools')}; ratios are of what is done in a second."
    ), trial=asked.trial)  # fmt: skip


if __name__ == "__main__":
    main()
