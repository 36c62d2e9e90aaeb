"""The pictures in which a detector is wrong most, small enough for a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from ..rle import from_string
from ..scores import Scene, Thing
from .matching import Found, Matched, Truth
from .outlines import outline_of_runs
from .thumbnails import thumbnail

__all__ = ["CUTOFF", "Kept", "kept", "worst_of"]

CUTOFF = 0.5  # the score from which a detection is drawn, and counts here
_SIDE = 320
# Outlines are no finer than this share of a picture's long side.
_FINEST = 160


@dataclass(frozen=True, eq=False, slots=True)
class Kept:
    """A picture before it is drawn, with its detections that score `CUTOFF` or more; `right` of each, `taken` of each truth."""

    index: int
    error: float
    missed: int
    wrong: int
    truth: Truth
    found: Found
    right: np.ndarray
    taken: np.ndarray
    pixels: Tensor
    move: Any

    def copied(self) -> Kept:
        """With pixels of its own: the batch that they are of may go."""
        return replace(self, pixels=self.pixels.clone())

    def drawn(self, where: Callable[[int], str | None]) -> Scene:
        height, width = self.truth.size
        step = max(1, round(max(height, width) / _FINEST))
        corners = np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])
        (left, top), (right, bottom) = np.sort(self.move.points(corners), axis=0) + 0.5
        rows, columns = self.pixels.shape[1:]
        shown = (max(round(left), 0), max(round(top), 0), min(round(right), columns), min(round(bottom), rows))
        pixels = self.pixels[:, shown[1] : max(shown[3], shown[1] + 1), shown[0] : max(shown[2], shown[0] + 1)]
        masks = self.found.masks
        outlines = [""] * len(self.found) if masks is None else [
            outline_of_runs(runs, self.truth.size, step) for runs in masks
        ]  # fmt: skip
        truths = self.truth.rles
        true = tuple(
            Thing(
                int(self.truth.labels[g]) - 1, _four(self.truth.boxes[g]),
                "" if truths is None else outline_of_runs(from_string(truths[g]), self.truth.size, step), None, bool(self.taken[g]),
            )
            for g in np.flatnonzero(~self.truth.crowd).tolist()
        )  # fmt: skip
        found = tuple(
            Thing(
                int(self.found.labels[d]) - 1, _four(self.found.boxes[d]), outlines[d], round(float(self.found.scores[d]), 3),
                bool(self.right[d]),
            )
            for d in range(len(self.found))
        )  # fmt: skip
        return Scene(
            true,
            found,
            self.missed,
            self.wrong,
            round(self.error, 4),
            thumbnail(pixels.cpu().permute(1, 2, 0).numpy(), _SIDE),
            (0.0, 0.0, float(width), float(height)),
            where(self.index),
            self.index,
        )


def kept(index: int, one: Matched, truth: Truth, found: Found, pixels: Tensor, move: Any) -> Kept | None:
    """A picture as it is kept; None where nothing is missed and nothing wrong.

    Its error is the share of mistakes, at an overlap of 0.5 and of what scores `CUTOFF` or more, among all that is there or was
    found: (missed + wrong) / (right + missed + wrong).
    """
    sure = one.scores >= CUTOFF
    right, wrong = one.right[:, 0, 0] & sure, one.wrong[:, 0, 0] & sure
    taken = _taken(one, right)
    real = one.real[:, 0]
    missed, mistaken, good = int((real & ~taken).sum()), int(wrong.sum()), int(right.sum())
    if not missed + mistaken:
        return None
    error = (missed + mistaken) / (good + missed + mistaken)
    own = found.take(one.order[sure])
    return Kept(
        index, error, missed, mistaken, truth, own, (right | one.ignored[:, 0, 0])[sure], taken, pixels, move
    )  # fmt: skip


def worst_of(pictures: Sequence[Kept], most: int) -> list[Kept]:
    """The worst `most`, the worst first; of equal ones, that with more mistakes."""
    ranked = sorted(pictures, key=lambda one: (-one.error, -one.missed - one.wrong, one.index))
    return ranked[:most]


def _taken(one: Matched, right: np.ndarray) -> np.ndarray:
    """Which truths the `right` detections find: each its own class's, the one that overlaps most of those that are free."""
    taken = np.zeros(len(one.wanted), bool)
    for d in np.flatnonzero(right):
        free = one.real[:, 0] & ~taken & (one.wanted == one.labels[d])
        overlaps = np.where(free, one.overlaps[d], -1.0)
        taken[len(overlaps) - 1 - int(overlaps[::-1].argmax())] = True
    return taken


def _four(box: np.ndarray) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(float(one), 1) for one in box)
    return x1, y1, x2, y2
