"""What stands between a detector's exported graphs, in NumPy alone: anchors, decoding, suppression, RoIAlign, final detections.

It is `layers.detection.find` for those who have no torch; this file imports nothing but NumPy, so that it can be handed on as it
is. `numbers` are the fields of `layers.detection.Settings` as a plain dictionary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Found", "anchors", "decoded", "find", "kept", "pooled", "proposals"]

Array = np.ndarray
Numbers = Mapping[str, Any]
CAP = math.log(1000 / 16)
BOX_SIDE, MASK_SIDE = 7, 14
_AT_ONCE = 64  # regions that are pooled together: 7 x 7 of 256 channels are 50 MB then


class Found(NamedTuple):
    """boxes ⟨N,D,4⟩, scores ⟨N,D⟩, labels ⟨N,D⟩ (0 in an empty place), masks ⟨N,D,28,28⟩ or None."""

    boxes: Array
    scores: Array
    labels: Array
    masks: Array | None


def find(
    scores: Sequence[Array],
    deltas: Sequence[Array],
    maps: Sequence[Array],
    box: Callable[[Array], tuple[Array, Array]],
    mask: Callable[[Array], Array] | None,
    canvas: tuple[int, int],
    numbers: Numbers,
) -> Found:
    """What is found in images of `canvas` (height, width), of the first graph's score maps ⟨N,A,h,w⟩, delta maps ⟨N,4A,h,w⟩ and
    `maps` ⟨N,C,h,w⟩, fine to coarse, by the graphs of boxes and of masks."""
    rows = [np.ascontiguousarray(one.transpose(0, 2, 3, 1), dtype=np.float32) for one in maps]
    regions = proposals(scores, deltas, canvas, numbers)
    image = np.repeat(np.arange(len(regions)), [len(one) for one in regions])
    every = np.concatenate(regions)
    if not len(every):
        every, image = np.zeros((1, 4), dtype=np.float32), np.zeros(1, dtype=int)  # finds nothing, as it has no width
    logits, moves = box(pooled(rows, image, every, BOX_SIDE, numbers))
    found = _detected(logits, moves, image, every, len(regions), canvas, numbers)
    if mask is None:
        return found
    places = found.labels > 0
    masks = np.zeros((*places.shape, 2 * MASK_SIDE, 2 * MASK_SIDE), dtype=np.float32)
    if places.any():
        inside = pooled(rows, np.nonzero(places)[0], found.boxes[places], MASK_SIDE, numbers)
        masks[places] = _sigmoid(mask(inside)[np.arange(len(inside)), found.labels[places]])
    return found._replace(masks=masks)


def anchors(sides: Sequence[tuple[int, int]], canvas: tuple[int, int], numbers: Numbers) -> list[Array]:
    """Of maps of `sides`, ⟨h·w·A,4⟩ each, as `layers.detection.Anchors` has them."""
    exact = numbers["geometry"] == "exact"
    found = []
    for (height, width), stride in zip(sides, numbers["strides"], strict=True):
        own = [numbers["scale"] * 2 ** (i / numbers["octaves"]) * stride for i in range(numbers["octaves"])]
        size = np.array([(s * math.sqrt(r), s / math.sqrt(r)) for r in numbers["ratios"] for s in own]) / 2
        cell = np.concatenate((-size, size), axis=1)
        down, along = (stride, stride) if exact else (canvas[0] // height, canvas[1] // width)
        start = 0.5 if exact else 0.0
        x, y = np.meshgrid((np.arange(width) + start) * along, (np.arange(height) + start) * down)
        middles = np.stack((x, y, x, y), axis=-1)[:, :, None]
        found.append((middles + (cell if exact else cell.round())).reshape(-1, 4).astype(np.float32))
    return found


def decoded(deltas: Array, origins: Array, weights: tuple[float, float, float, float] = (1, 1, 1, 1)) -> Array:
    """The boxes ⟨...,4⟩ that `deltas` ⟨...,4⟩ make of `origins` ⟨...,4⟩."""
    size = origins[..., 2:] - origins[..., :2]
    scale = np.array(weights, dtype=np.float32)
    middle = origins[..., :2] + size / 2 + deltas[..., :2] / scale[:2] * size
    half = np.exp(np.minimum(deltas[..., 2:] / scale[2:], np.float32(CAP))) * size / 2
    return np.concatenate((middle - half, middle + half), axis=-1)


def proposals(
    scores: Sequence[Array], deltas: Sequence[Array], canvas: tuple[int, int], numbers: Numbers
) -> list[Array]:
    """The regions of each image, best first."""
    each, most = numbers["candidates"][1], numbers["regions"][1]
    every = anchors([(one.shape[2], one.shape[3]) for one in scores], canvas, numbers)
    flat = [one.transpose(0, 2, 3, 1).reshape(len(one), -1) for one in scores]
    moved = [one.transpose(0, 2, 3, 1).reshape(len(one), -1, 4) for one in deltas]
    found = []
    for i in range(len(scores[0])):
        boxes, values, levels = [], [], []
        for level, (score, delta, anchor) in enumerate(zip(flat, moved, every, strict=True)):
            at = np.argsort(-score[i], kind="stable")[:each]
            boxes.append(_clipped(decoded(delta[i][at], anchor[at]), canvas))
            values.append(score[i][at])
            levels.append(np.full(len(at), level))
        own, value, group = np.concatenate(boxes), np.concatenate(values), np.concatenate(levels)
        wide = (own[:, 2:] - own[:, :2] >= numbers["smallest"]).all(1)
        own, value, group = own[wide], value[wide], group[wide]
        found.append(own[kept(own, value, group, numbers["region_overlap"])[:most]])
    return found


def kept(boxes: Array, scores: Array, groups: Array, overlap: float) -> Array:
    """The numbers of the boxes that stay, best first: none of a group has an IoU above `overlap` with a better one that stays."""
    stays: list[int] = []
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for group in np.unique(groups):
        left = np.flatnonzero(groups == group)
        left = left[np.argsort(-scores[left], kind="stable")]
        while len(left):
            first, left = left[0], left[1:]
            stays.append(int(first))
            low = np.maximum(boxes[first, :2], boxes[left, :2])
            high = np.minimum(boxes[first, 2:], boxes[left, 2:])
            common = np.maximum(high - low, 0).prod(axis=1)
            left = left[~(common / (area[first] + area[left] - common) > overlap)]
    found = np.sort(np.array(stays, dtype=np.int64))
    return found[np.argsort(-scores[found], kind="stable")]


def pooled(maps: Sequence[Array], image: Array, regions: Array, side: int, numbers: Numbers) -> Array:
    """RoIAlign of `regions` ⟨R,4⟩ of the images `image` ⟨R⟩ over `maps` ⟨N,h,w,C⟩: ⟨R,C,side,side⟩."""
    readable = numbers["pooled"] or len(maps)
    finest = int(math.log2(numbers["strides"][0]))
    with np.errstate(divide="ignore"):
        root = np.sqrt(np.maximum((regions[:, 2:] - regions[:, :2]).prod(axis=1), 0))
        level = np.floor(numbers["level"] + np.log2(root / numbers["side"]) + 1e-6) - finest
    level = np.clip(level, 0, readable - 1).astype(int)
    out = np.zeros((len(regions), side, side, maps[0].shape[3]), dtype=np.float32)
    for k in range(readable):
        every = np.flatnonzero(level == k)
        for at in np.array_split(every, -(-len(every) // _AT_ONCE) or 1):
            out[at] = _aligned(maps[k], image[at], regions[at], side, numbers["strides"][k], numbers)
    return np.ascontiguousarray(out.transpose(0, 3, 1, 2))


def _aligned(rows: Array, image: Array, regions: Array, side: int, stride: int, numbers: Numbers) -> Array:
    exact, each = numbers["geometry"] == "exact", numbers["samples"]
    scaled = regions / np.float32(stride) - np.float32(0.5 if exact else 0)
    size = scaled[:, 2:] - scaled[:, :2]
    size = size if exact else np.maximum(size, 1)
    steps = ((np.arange(side * each) + 0.5) / (side * each)).astype(np.float32)
    x, y = (scaled[:, axis, None] + steps * size[:, axis, None] for axis in (0, 1))
    (low_y, high_y, part_y), (low_x, high_x, part_x) = _taps(y, rows.shape[1]), _taps(x, rows.shape[2])
    n = image[:, None, None]
    total = np.zeros((len(regions), side * each, side * each, rows.shape[3]), dtype=np.float32)
    for at_y, share_y in ((low_y, part_y[0]), (high_y, part_y[1])):
        for at_x, share_x in ((low_x, part_x[0]), (high_x, part_x[1])):
            share = share_y[:, :, None] * share_x[:, None, :]
            total += share[..., None] * rows[n, at_y[:, :, None], at_x[:, None, :]]
    return np.asarray(total.reshape(len(regions), side, each, side, each, rows.shape[3]).mean(axis=(2, 4)))


def _taps(at: Array, cells: int) -> tuple[Array, Array, tuple[Array, Array]]:
    """The cells before and after each place, and their shares, which are 0 where it lies more than a cell outside."""
    inside = (at >= -1) & (at <= cells)
    at = at.clip(0, cells - 1)
    low = np.floor(at).astype(int)
    part = at - low
    return low, np.minimum(low + 1, cells - 1), ((1 - part) * inside, part * inside)


def _detected(
    logits: Array, moves: Array, image: Array, regions: Array, n: int, canvas: tuple[int, int], numbers: Numbers
) -> Found:
    classes, places = logits.shape[1] - 1, numbers["found"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = (powers / powers.sum(axis=1, keepdims=True))[:, 1:]
    region, label = np.nonzero(shares > numbers["score"])
    own = decoded(moves.reshape(len(moves), classes + 1, 4)[region, label + 1], regions[region], (10, 10, 5, 5))
    own = _clipped(own, canvas)
    wide = (own[:, 2:] - own[:, :2] >= numbers["least"]).all(1)
    region, label, own = region[wide], label[wide], own[wide]
    score, of = shares[region, label], image[region]
    order = kept(own, score, of * classes + label, numbers["overlap"])
    boxes = np.zeros((n, places, 4), dtype=np.float32)
    scores, labels = np.zeros((n, places), dtype=np.float32), np.zeros((n, places), dtype=np.int64)
    for i in range(n):
        here = order[of[order] == i][:places]
        boxes[i, : len(here)], scores[i, : len(here)], labels[i, : len(here)] = own[here], score[here], label[here] + 1
    return Found(boxes, scores, labels, None)


def _clipped(boxes: Array, canvas: tuple[int, int]) -> Array:
    most = np.array([canvas[1], canvas[0]] * 2, dtype=np.float32)
    return np.asarray(np.clip(boxes, 0, most), dtype=np.float32)


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x.clip(-80, 80))), dtype=np.float32)
