"""Which detection of a picture found which of its objects, as COCO decides it.

At each of ten overlaps and in each of four ranges of area, the detections of a class choose in turn, the likeliest first: of
the class's truths that are free and overlap it enough, the one that overlaps most (of equals the last). A truth that is a crowd,
or whose area is outside the range, is chosen only where there is no other; what chooses it is neither right nor wrong. A crowd
is never taken away. A detection that finds nothing is wrong, but where its own area is outside the range it is neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from ..rle import from_string
from .overlaps import areas_of_runs, box_overlaps, mask_overlaps

__all__ = ["AREAS", "LIMITS", "OVERLAPS", "Found", "Kind", "Matched", "Truth", "match"]

Kind = Literal["mask", "box"]

OVERLAPS = np.linspace(0.5, 0.95, 10)
# By their names, in square pixels; both ends belong to a range.
AREAS: dict[str, tuple[float, float]] = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
# Detections of a picture and class that are looked at.
LIMITS = (1, 10, 100)

_LOW, _HIGH = (np.array([ends[k] for ends in AREAS.values()]) for k in (0, 1))
# An overlap of 1 is asked for no more strictly than rounding allows.
_ENOUGH = np.minimum(OVERLAPS, 1 - 1e-10)
_EMPTY = np.zeros(0, np.int64)


class Truth(Protocol):
    """What a picture shows, in its own pixels (`data.targets.objects.Truth`): `boxes` ⟨G,4⟩ as (x1, y1, x2, y2), `labels` ⟨G⟩ from
    1, `crowd` ⟨G⟩, `areas` ⟨G⟩, `rles` as COCO's strings, None where there are boxes only, and `size` (height, width)."""

    @property
    def boxes(self) -> np.ndarray: ...
    @property
    def labels(self) -> np.ndarray: ...
    @property
    def crowd(self) -> np.ndarray: ...
    @property
    def areas(self) -> np.ndarray: ...
    @property
    def rles(self) -> Sequence[bytes] | None: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def image_id(self) -> int | str: ...


@dataclass(frozen=True, eq=False)
class Found:
    """What a detector finds in a picture, in its own pixels: `boxes` ⟨D,4⟩ as (x1, y1, x2, y2), `scores` ⟨D⟩, `labels` ⟨D⟩ from 1,
    and `masks` as the lengths of their runs (`rle`), None where there are boxes only."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: tuple[np.ndarray, ...] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, which: np.ndarray) -> Found:
        """Those detections, in that order."""
        masks = None if self.masks is None else tuple(self.masks[i] for i in which)
        return Found(self.boxes[which], self.scores[which], self.labels[which], masks)


@dataclass(frozen=True, eq=False)
class Matched:
    """A picture's detections, the likeliest first, at most 100 of a class: `order` ⟨n⟩ their numbers as they were given, `labels`,
    `scores` and `rank` ⟨n⟩, the place among those of its class, from 0. `hit` and `ignored` bool ⟨n,10,4⟩ say of each overlap and
    range of area whether it found something, and whether it counts as neither right nor wrong. Of the truths: `wanted` ⟨G⟩ their
    labels, and whether they are to be found `real` bool ⟨G,4⟩.

    Of an overlap of 0.5 and all areas: `taken` bool ⟨G⟩, the truths that were found. `overlaps` ⟨n,G⟩ of any classes."""

    order: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    rank: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    wanted: np.ndarray
    real: np.ndarray
    taken: np.ndarray
    overlaps: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Bool ⟨n,10,4⟩."""
        return np.asarray(self.hit & ~self.ignored)

    @property
    def wrong(self) -> np.ndarray:
        """Bool ⟨n,10,4⟩."""
        return np.asarray(~self.hit & ~self.ignored)


def match(truth: Truth, found: Found, kind: Kind) -> Matched:
    """The detections of one picture against what it shows, by their boxes or by their masks.

    Raises:
        ValueError: masks are asked for where one of the two has none.
    """
    order = np.argsort(-found.scores, kind="stable")
    rank = _ranks(found.labels[order])
    order, rank = order[rank < LIMITS[-1]], rank[rank < LIMITS[-1]]
    found = found.take(order)
    overlaps, sizes = _overlaps(truth, found, kind)
    outside = (truth.areas[:, None] < _LOW) | (truth.areas[:, None] > _HIGH)
    spared = (truth.crowd[:, None] | outside).T  # ⟨4,G⟩
    hit = np.zeros((len(found), len(OVERLAPS), len(AREAS)), bool)
    ignored = np.zeros_like(hit)
    taken = np.zeros((len(OVERLAPS), len(AREAS), len(truth.labels)), bool)
    own = np.where(found.labels[:, None] == truth.labels[None], overlaps, 0.0)
    for d in np.flatnonzero((own >= _ENOUGH[0]).any(1)):
        near = np.flatnonzero(own[d] >= _ENOUGH[0])
        free = (own[d, near] >= _ENOUGH[:, None])[:, None] & (~taken[:, :, near] | truth.crowd[near])
        real = free & ~spared[:, near]
        has, at = _most(real, own[d, near])
        # What is spared comes last.
        has_spared, at_spared = _most(free & spared[:, near], own[d, near])
        chosen = near[np.where(has, at, at_spared)]
        hit[d] = has | has_spared
        ignored[d] = ~has & has_spared
        rows, columns = np.nonzero(hit[d])
        taken[rows, columns, chosen[rows, columns]] = True
    ignored |= ~hit & ((sizes[:, None] < _LOW) | (sizes[:, None] > _HIGH))[:, None, :]
    return Matched(
        order, found.labels, found.scores, rank, hit, ignored, truth.labels, ~spared.T, taken[0, 0], overlaps
    )  # fmt: skip


def _overlaps(truth: Truth, found: Found, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """Each detection's overlap with each truth ⟨D,G⟩, and its area ⟨D⟩."""
    if kind == "box":
        sides = found.boxes[:, 2:] - found.boxes[:, :2]
        return box_overlaps(found.boxes, truth.boxes, truth.crowd), sides.prod(1)
    if found.masks is None or truth.rles is None:
        raise ValueError("masks are compared with masks, and there are boxes only")
    masks = [from_string(one) for one in truth.rles]
    return mask_overlaps(found.masks, masks, truth.crowd), areas_of_runs(found.masks)


def _ranks(labels: np.ndarray) -> np.ndarray:
    """How many of the same label come before each."""
    by_label = np.argsort(labels, kind="stable")
    together = labels[by_label]
    first = np.flatnonzero(np.concatenate(([True], together[1:] != together[:-1]))) if len(labels) else _EMPTY
    ranks = np.empty(len(labels), np.int64)
    ranks[by_label] = np.arange(len(labels)) - np.repeat(first, np.diff(np.append(first, len(labels))))
    return ranks


def _most(free: np.ndarray, overlaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether any of the last axis is `free`, and the place of the one that overlaps most, of equals the last."""
    values = np.where(free, overlaps, -1.0)[..., ::-1]
    return np.asarray(free.any(-1)), free.shape[-1] - 1 - values.argmax(-1)
