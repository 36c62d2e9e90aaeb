"""Objects in each picture: a box, a class, and where they are told a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...rle import decoded_part, from_string
from ...units import plural
from ..moves import Move
from .targets import Targets

__all__ = ["CROP", "ImageId", "Instances", "Objects", "Truth"]

# A mask is handed to training as so many pixels along each side of its box: four for each of the 28 that are predicted.
CROP = 112

# Detections of a picture that are scored, whatever there is in it.
_SCORED = 100

ImageId: TypeAlias = int | str


@dataclass(frozen=True, eq=False, slots=True)
class Truth:
    """What one picture shows, in its own pixels, as its file says it.

    `boxes` float64 ⟨n,4⟩ as (x1, y1, x2, y2), of which pixel i covers [i, i+1]; `labels` int64 ⟨n⟩ from 1; `crowd` bool ⟨n⟩, a
    region of many objects that are not told apart; `areas` float64 ⟨n⟩ in pixels; `rles` the masks as COCO's compressed runs
    (see `rle`) of a picture of `size` (height, width), None where there are boxes only; `image_id` what the file calls it.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray
    rles: tuple[bytes, ...] | None
    size: tuple[int, int]
    image_id: ImageId

    def __post_init__(self) -> None:
        n = len(self.boxes)
        lengths = {n, len(self.labels), len(self.crowd), len(self.areas), n if self.rles is None else len(self.rles)}
        if self.boxes.shape != (n, 4) or lengths != {n}:
            raise ValueError(
                f"objects of picture {self.image_id}: boxes {self.boxes.shape}, and lists of {sorted(lengths)}"
            )

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, eq=False)
class Instances:
    """Objects of one batch of N pictures, as training is shown them, and the whole truth of each.

    `boxes`, N of float32 ⟨n,4⟩, are in pixels of what the network is shown, clipped to it and to the picture; `labels`, N of
    int64 ⟨n⟩, count from 1; `masks`, N of uint8 ⟨n,112,112⟩, are 1 inside and 0 outside, spread over the clipped box: entry (i, j)
    is the mask at the point that lies (j + 1/2)/112 along the box and (i + 1/2)/112 down it. They are None where there are
    boxes only. What is less than a pixel wide or high, what lies outside and what is a crowd is left out here; `truth` has all
    of it, untouched, in the pictures' own pixels. `moves` lead from one to the other.
    """

    boxes: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]
    masks: tuple[Tensor, ...] | None
    truth: tuple[Truth, ...]
    moves: tuple[Move, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, part: slice) -> Instances:
        masks = None if self.masks is None else self.masks[part]
        return Instances(self.boxes[part], self.labels[part], masks, self.truth[part], self.moves[part])

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Instances:
        """With the tensors there; the truth stays as it is."""

        def there(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(one.to(device, non_blocking=non_blocking) for one in tensors)

        masks = None if self.masks is None else there(self.masks)
        return Instances(there(self.boxes), there(self.labels), masks, self.truth, self.moves)


@dataclass(frozen=True, eq=False)
class Objects(Targets):
    """The objects of each picture. `category_ids` are the numbers of the classes in the file that they come from, in the order of
    the classes; -1 of one that the file has not.

    Memory: masks stay runs, some hundred bytes each; `answers` unpacks one at a time, the columns of its box only, and keeps
    112 x 112 bytes of it: 1.25 MB for a picture of a hundred objects, whatever its size.
    """

    moved: ClassVar[bool] = True
    said: ClassVar[str] = "objects in its pictures"
    sought: ClassVar[str] = "finds objects"

    truths: tuple[Truth, ...]
    category_ids: tuple[int, ...]

    @cached_property
    def masked(self) -> bool:
        """Whether each object has a mask."""
        return bool(self.truths) and all(one.rles is not None for one in self.truths)

    @property
    def number(self) -> int:
        """How many objects there are, crowds not among them."""
        return sum(int((~one.crowd).sum()) for one in self.truths)

    def __len__(self) -> int:
        return len(self.truths)

    def take(self, indices: np.ndarray) -> Objects:
        return replace(self, truths=tuple(self.truths[i] for i in indices))

    def joined(self, *others: Objects) -> Objects:
        if any(one.category_ids != self.category_ids for one in others):
            raise ValueError("objects of other classes cannot be joined")
        return replace(self, truths=sum((one.truths for one in others), self.truths))

    def answers(self, indices: np.ndarray, moves: Sequence[Move], sides: tuple[int, int] | None = None) -> Instances:
        """The objects where the pictures' pixels went. A box is the rectangle around its moved corners, clipped to `sides`."""
        truths = tuple(self.truths[i] for i in indices)
        seen = [_seen(truth, move, sides, self.masked) for truth, move in zip(truths, moves, strict=True)]
        boxes = tuple(torch.from_numpy(box.astype(np.float32)) for box, _, _ in seen)
        labels = tuple(torch.from_numpy(label) for _, label, _ in seen)
        masks = tuple(torch.from_numpy(mask) for _, _, mask in seen) if self.masked else None
        return Instances(boxes, labels, masks, truths, tuple(moves))

    def in_order(self, names: tuple[str, ...], classes: tuple[str, ...]) -> Objects:
        """These objects, whose labels count through `names`, with labels that count through `classes`; those of other names are
        left out."""
        numbers = np.array([0, *(classes.index(name) + 1 if name in classes else 0 for name in names)], np.int64)
        ids = dict(zip(names, self.category_ids, strict=True))
        truths = []
        for one in self.truths:
            labels = numbers[one.labels]
            truths.append(chosen(replace(one, labels=labels), labels > 0))
        return Objects(tuple(truths), tuple(ids.get(name, -1) for name in classes))

    def to_bytes(self) -> bytes:
        parts = [repr((self.category_ids, len(self))).encode()]
        for one in self.truths:
            parts += [
                repr((one.image_id, one.size, len(one), one.rles)).encode(),
                *(array.tobytes() for array in (one.boxes, one.labels, one.crowd, one.areas)),
            ]
        return b"".join(parts)

    def counts(self, classes: int) -> np.ndarray:
        """In how many pictures each class has an object; crowds are none."""
        return np.asarray(self._present(classes).sum(0, dtype=np.int64))

    def sound(self, names: tuple[str, ...], where: str, lost: str = "", what: str = "image") -> tuple[str, ...]:
        if not self.counts(len(names)).any():
            raise DataError(f"{where} has pictures, and not one object to train on{lost}")
        if len(self) < 2:
            raise DataError(f"{where} has one picture to train on and to validate on{lost}; give it two or more")
        return names

    def foreign(self, classes: tuple[str, ...]) -> str:
        most = max((int(one.labels.max(initial=0)) for one in self.truths), default=0)
        return "" if most <= len(classes) else f"an object of class {most} but training has only {len(classes)} classes"

    def oddities(self) -> tuple[str, ...]:
        n = len(self)
        never = np.flatnonzero(self.counts(len(self.category_ids)) == 0) + 1
        empty = sum(not len(one) for one in self.truths)
        crowds = sum(int(one.crowd.sum()) for one in self.truths)
        full = sum(len(one) - int(one.crowd.sum()) > _SCORED for one in self.truths)
        said = []
        if len(never):
            numbers = ", ".join(str(self.category_ids[k - 1]) for k in never[:8].tolist())
            more = f" and {len(never) - 8} more" if len(never) > 8 else ""
            said.append(
                f"no object in the training pictures of the categories numbered {numbers}{more}: nothing is learnt of them"
            )
        if empty:
            said.append(f"{plural(empty, 'training picture')} of {n} without objects: they teach what is none")
        if crowds:
            said.append(f"{plural(crowds, 'region')} of crowds in the training pictures: not trained on")
        if full:
            said.append(
                f"{plural(full, 'training picture')} with more than {_SCORED} objects: no more than {_SCORED} detections of a "
                "picture are scored"
            )
        return tuple(said)

    def samples(self, names: tuple[str, ...], most: int) -> dict[str, np.ndarray]:
        """By class: the pictures that have an object of it."""
        present = self._present(len(names))
        return {name: np.flatnonzero(present[:, k]) for k, name in enumerate(names[:most])}

    def strata(self) -> list[np.ndarray]:
        """One group for each class, of the pictures of which it is the rarest; last, the pictures without objects."""
        present = self._present(len(self.category_ids))
        by_rarity = np.argsort(present.sum(0), kind="stable")
        first = np.where(present.any(1), present[:, by_rarity].argmax(1), len(by_rarity))
        return [np.flatnonzero(first == rank) for rank in range(len(by_rarity) + 1)]

    def _present(self, classes: int) -> np.ndarray:
        """Whether each picture has an object of each class, bool ⟨n, classes⟩."""
        present = np.zeros((len(self), classes), bool)
        for i, one in enumerate(self.truths):
            present[i, one.labels[~one.crowd] - 1] = True
        return present


def chosen(truth: Truth, which: np.ndarray) -> Truth:
    """The objects of a picture that are meant by `which`, bool ⟨n⟩."""
    if which.all():
        return truth
    rles = None if truth.rles is None else tuple(truth.rles[k] for k in np.flatnonzero(which).tolist())
    return Truth(
        truth.boxes[which], truth.labels[which], truth.crowd[which], truth.areas[which], rles, truth.size, truth.image_id
    )  # fmt: skip


def _seen(
    truth: Truth, move: Move, sides: tuple[int, int] | None, masked: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The boxes, labels and masks of one picture as it is shown: of objects that can be told, and are to be found."""
    high, wide = truth.size
    x1, y1, x2, y2 = (np.clip(truth.boxes[:, k], 0, (wide, high)[k % 2]) - 0.5 for k in range(4))
    corners = move.points(np.stack([np.stack(xy, -1) for xy in ((x1, y1), (x2, y1), (x1, y2), (x2, y2))])) + 0.5
    boxes = np.concatenate((corners.min(0), corners.max(0)), axis=-1)
    if sides is not None:
        boxes = np.clip(boxes, 0, (sides[1], sides[0]) * 2)
    kept = ~truth.crowd & (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
    masks = np.zeros((0, CROP, CROP), np.uint8)
    if masked and truth.rles is not None:
        crops = []
        for k in np.flatnonzero(kept).tolist():
            crop = _sampled(truth.rles[k], truth.size, boxes[k], move)
            kept[k] = crop is not None
            crops += [] if crop is None else [crop]
        masks = np.stack(crops) if crops else masks
    return boxes[kept], truth.labels[kept], masks


def _sampled(rle: bytes, size: tuple[int, int], box: np.ndarray, move: Move) -> np.ndarray | None:
    """The mask over a box of what is shown, uint8 ⟨112,112⟩, by the picture's pixel that each point falls into; None where no
    pixel of it is met."""
    middles = (np.arange(CROP) + 0.5) / CROP
    x, y = box[0] + middles * (box[2] - box[0]) - 0.5, (box[1] + middles * (box[3] - box[1]) - 0.5)[:, None]
    # A row and a column of numbers, which is all there is to an upright move, are a hundredth of the points.
    column, row = (
        np.floor((along * x if along else 0.0) + (down * y if down else 0.0) + (origin + 0.5)).astype(np.int64)
        for along, down, origin in move.rows
    )
    within = (column >= 0) & (row >= 0) & (column < size[1]) & (row < size[0])
    if not within.any():
        return None
    left, top = max(0, int(column.min())), max(0, int(row.min()))
    right, bottom = min(size[1], int(column.max()) + 1), min(size[0], int(row.max()) + 1)
    part = decoded_part(from_string(rle), size, (top, left, bottom - top, right - left))
    crop = part[np.clip(row - top, 0, bottom - top - 1), np.clip(column - left, 0, right - left - 1)] & within
    return crop.astype(np.uint8) if crop.any() else None
