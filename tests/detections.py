"""Detections and truths made by hand, and what COCO's own libraries say of them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from convsmith.evals.matching import Found
from convsmith.layers.detection import Detections
from convsmith.rle import encoded, from_string, of_runs, to_string

# Their modules, and their evaluator.
LIBRARIES = {
    "pycocotools": (("pycocotools.coco", "pycocotools.cocoeval"), "COCOeval"),
    "faster_coco_eval": (("faster_coco_eval.core.coco", "faster_coco_eval.core.faster_eval_api"), "COCOeval_faster"),
}


@dataclass(frozen=True, eq=False)
class Truth:
    """What a picture shows, as `convsmith.data.targets.objects.Truth` has it."""

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray
    rles: tuple[bytes, ...] | None
    size: tuple[int, int]
    image_id: int | str


def truth(
    boxes: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    crowd: ArrayLike | None = None,
    areas: ArrayLike | None = None,
    masks: Sequence[np.ndarray] | None = None,
    size: tuple[int, int] = (200, 200),
    image_id: int | str = 0,
) -> Truth:
    """Boxes (x1, y1, x2, y2) of one picture; without masks each is a full rectangle of whole pixels."""
    at = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    drawn = [filled(box, size) for box in at] if masks is None else list(masks)
    return Truth(
        at,
        np.array([1] * len(at) if labels is None else labels, dtype=np.int64),
        np.array([False] * len(at) if crowd is None else crowd, dtype=bool),
        np.array([mask.sum() for mask in drawn] if areas is None else areas, dtype=np.float64),
        tuple(map(encoded, drawn)),
        size,
        image_id,
    )


def found(
    boxes: ArrayLike,
    scores: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    masks: Sequence[np.ndarray] | None = None,
    size: tuple[int, int] = (200, 200),
) -> Found:
    at = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    drawn = [filled(box, size) for box in at] if masks is None else list(masks)
    return Found(
        at,
        np.array(scores, dtype=np.float64),
        np.array([1] * len(at) if labels is None else labels, dtype=np.int64),
        tuple(map(of_runs, drawn)),
    )


def filled(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, bool)
    x1, y1, x2, y2 = np.round(box).astype(int)
    mask[y1:y2, x1:x2] = True
    return mask


def as_found(one: Any) -> Found:
    """A truth given back as detections of score 1; a crowd is none."""
    own = np.flatnonzero(~one.crowd)
    masks = None if one.rles is None else tuple(from_string(one.rles[i]) for i in own)
    return Found(one.boxes[own], np.ones(len(own)), one.labels[own], masks)


def random_scene(rng: np.random.Generator, image_id: int, classes: int = 4) -> tuple[Truth, Found]:
    """Rectangles of all sizes, some of them crowds, and detections that hit, miss and double; some scores are equal."""
    size, n = (160, 220), int(rng.integers(0, 7))
    corner = rng.uniform(0, (150, 100), (n, 2))
    boxes = np.concatenate([corner, np.minimum(corner + rng.uniform(6, 120, (n, 2)), (220, 160))], 1).round(1)
    labels = rng.integers(1, classes + 1, n)
    there = truth(boxes, labels, crowd=rng.random(n) < 0.12, size=size, image_id=image_id)
    pool = boxes[rng.integers(0, n, 3 * n)] if n else np.zeros((0, 4))
    moved = pool + rng.normal(0, 4, pool.shape)
    lost = np.concatenate([rng.uniform(0, 100, (4, 2)), rng.uniform(110, 150, (4, 2))], 1)
    at = np.concatenate([moved, lost])
    at = np.clip(at, 0, (220, 160, 220, 160))
    at[:, 2:] = np.maximum(at[:, 2:], at[:, :2] + 2).clip(0, (220, 160))
    at[:, :2] = np.minimum(at[:, :2], at[:, 2:] - 2)
    guesses = np.concatenate([labels[rng.integers(0, n, 3 * n)] if n else [], rng.integers(1, classes + 1, 4)])
    return there, found(at, rng.random(len(at)).round(1), guesses.astype(np.int64), size=size)


def by_library(library: str, truths: Sequence[Any], detections: Sequence[Found], classes: int, kind: str) -> np.ndarray:
    """The twelve numbers by COCO's own library, NaN where it says -1. Ids from 1, float scores, and nothing printed."""
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for i, (one, own) in enumerate(zip(truths, detections, strict=True), start=1):
        for k in range(len(one.labels)):
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": i, "category_id": int(one.labels[k]),
                    "bbox": _wide(one.boxes[k]), "area": float(one.areas[k]), "iscrowd": int(one.crowd[k]),
                    "segmentation": {"size": list(one.size), "counts": one.rles[k].decode()},
                }
            )  # fmt: skip
        for k in range(len(own)):
            said = {"image_id": i, "category_id": int(own.labels[k]), "score": float(own.scores[k])}
            where: dict[str, Any] = {"bbox": _wide(own.boxes[k])}
            if kind == "mask":
                assert own.masks is not None
                where = {"segmentation": {"size": list(one.size), "counts": to_string(own.masks[k]).decode()}}
            results.append(said | where)
    images = [{"id": i, "height": one.size[0], "width": one.size[1]} for i, one in enumerate(truths, start=1)]
    return judged(library, images, range(1, classes + 1), annotations, results, kind)


def judged(
    library: str,
    images: Sequence[Any],
    categories: Sequence[int],
    annotations: Sequence[Any],
    results: Sequence[Any],
    kind: str,
) -> np.ndarray:
    """The twelve numbers of what stands in COCO's files."""
    names, judge = LIBRARIES[library]
    coco, cocoeval = map(import_module, names)
    with contextlib.redirect_stdout(io.StringIO()):
        whole = coco.COCO()
        whole.dataset = {
            "info": {},
            "images": list(images),
            "annotations": list(annotations),
            "categories": [{"id": k, "name": str(k)} for k in categories],
        }
        whole.createIndex()
        own = getattr(cocoeval, judge)(whole, whole.loadRes(list(results)), "segm" if kind == "mask" else "bbox")
        own.evaluate()
        own.accumulate()
        own.summarize()
    numbers = np.array(own.stats[:12], dtype=float)
    return np.where(numbers == -1, np.nan, numbers)


def _wide(box: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def shown(own: Sequence[Found], moves: Sequence[Any], *, masks: bool) -> Detections:
    """As a network puts it out that was shown the pictures through `moves`; masks fill their boxes."""
    most = max(len(one) for one in own)
    boxes, scores = np.zeros((len(own), most, 4)), np.zeros((len(own), most))
    labels = np.zeros((len(own), most), np.int64)
    for i, (one, move) in enumerate(zip(own, moves, strict=True)):
        n = len(one)
        corners = move.points(one.boxes.reshape(-1, 2, 2) - 0.5) + 0.5
        boxes[i, :n] = np.concatenate([corners.min(1), corners.max(1)], 1)
        scores[i, :n], labels[i, :n] = one.scores, one.labels
    full = torch.ones(len(own), most, 28, 28) if masks else None
    return Detections(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(labels), full)


def as_batch(truths: Sequence[Truth], moves: Sequence[Any], indices: Sequence[int], rng: np.random.Generator) -> Any:
    """A batch of coloured noise that shows them."""
    images = torch.from_numpy(rng.integers(0, 256, (len(truths), 3, 100, 120), np.uint8))
    answers = SimpleNamespace(truth=tuple(truths))
    return SimpleNamespace(images=images, answers=answers, indices=torch.tensor(indices), moves=tuple(moves))


# A hit, and one of each kind of mistake: double, wrong class, badly placed, background; the last truth is missed.
ONE_SCENE = (
    truth([[10, 10, 50, 50], [60, 10, 100, 50], [110, 10, 150, 50], [10, 110, 50, 150]], [1, 2, 1, 1]),
    found(
        [[10, 10, 50, 50], [10, 10, 50, 48], [60, 10, 100, 50], [130, 10, 170, 50], [100, 150, 140, 190]],
        [0.9, 0.8, 0.7, 0.6, 0.5],
        [1, 1, 1, 1, 1],
    ),
)
