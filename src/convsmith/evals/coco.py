"""Average precision as COCO has it, with an interval over pictures.

Of a class, an overlap and a range of area: the detections of all pictures by falling score (of equals, the earlier picture's
first), each right or wrong (`matching`). After each of them

    recall = right so far / truths,    precision = right so far / all so far

and the precision at recall r is the largest at any recall of r or more, 0 where none reaches it. Average precision is its mean
over r = 0, 0.01, ..., 1; AP the mean of that over classes and over overlaps of 0.5, 0.55, ..., 0.95. Average recall is the mean
over both of the last recall. A class without truths is left out of means, its wrong detections with it; where none is left
there is no number, NaN here. All numbers are those of pycocotools and faster-coco-eval, to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .matching import AREAS, LIMITS, OVERLAPS, Found, Kind, Matched, Truth, match

__all__ = ["NUMBERS", "RECALLS", "AveragePrecision", "average_precision"]

RECALLS = np.linspace(0.0, 1.0, 101)

# The twelve numbers in COCO's order.
NUMBERS = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """What detections of `classes` classes are worth, of pictures that were matched one by one, in their order.

    `precision` ⟨10,101,classes,4⟩ by overlap, recall, class and range of area, of at most 100 detections of a picture and class;
    `recall` ⟨10,classes,4,3⟩ by overlap, class, range of area and limit of detections. NaN where a class has no truth.
    """

    pictures: tuple[Matched, ...]
    classes: int

    def __getitem__(self, name: str) -> float:
        """One of the twelve numbers by its name (`NUMBERS`); NaN where there is no such object."""
        return self.numbers[NUMBERS.index(name)]

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        """The twelve numbers in COCO's order: AP; at 0.5; at 0.75; small, medium, large; AR of 1, 10 and 100 detections; small,
        medium, large."""
        precision, recall = self.precision, self.recall
        sizes = range(1, len(AREAS))
        return (
            _mean(precision[..., 0]),
            _mean(precision[0, ..., 0]),
            _mean(precision[5, ..., 0]),
            *(_mean(precision[..., area]) for area in sizes),
            *(_mean(recall[:, :, 0, limit]) for limit in range(len(LIMITS))),
            *(_mean(recall[:, :, area, -1]) for area in sizes),
        )

    @cached_property
    def each_class(self) -> np.ndarray:
        """AP of each class at each overlap ⟨classes,10⟩, NaN where one has no truth."""
        means: np.ndarray = self.precision[..., 0].mean(axis=1).T
        return means

    def curve(self, overlap: float) -> np.ndarray:
        """The precision at each of the 101 recalls ⟨101⟩, the mean over classes that have truths; NaN where none has."""
        at = self.precision[int(np.flatnonzero(np.isclose(OVERLAPS, overlap))[0]), :, :, 0]
        some = ~np.isnan(at).any(0)
        return at[:, some].mean(1) if some.any() else np.full(len(RECALLS), np.nan)

    @property
    def precision(self) -> np.ndarray:
        return self._accumulated[0]

    @property
    def recall(self) -> np.ndarray:
        return self._accumulated[1]

    @cached_property
    def _accumulated(self) -> tuple[np.ndarray, np.ndarray]:
        precision = np.full((len(OVERLAPS), len(RECALLS), self.classes, len(AREAS)), np.nan)
        recall = np.full((len(OVERLAPS), self.classes, len(AREAS), len(LIMITS)), np.nan)
        all_ = self._together
        for k in range(self.classes):
            own = slice(*np.searchsorted(all_.labels, (k + 1, k + 2)))
            truths = all_.real[all_.wanted == k + 1].sum(0)
            for area in np.flatnonzero(truths):
                right, wrong = all_.right[own, :, area], all_.wrong[own, :, area]
                precision[:, :, k, area] = interpolated(right, wrong, int(truths[area]))
                for n, limit in enumerate(LIMITS):
                    recall[:, k, area, n] = right[all_.rank[own] < limit].sum(0) / truths[area]
        return precision, recall

    @cached_property
    def _together(self) -> _Together:
        return _Together.of(self.pictures)

    def interval(self, draws: int = 1000) -> tuple[float, float] | None:
        """The 95 % interval of AP by a bootstrap over the pictures; None of fewer than two, or without truths. What is drawn is
        the same every time. A picture that is drawn twice counts as two.

        Precision at a recall is the largest beyond it, so AP of fewer different pictures lies higher, and with it the mean of the
        draws. Their spread about that mean is laid about AP itself; otherwise AP of many classes would lie outside.

        Nothing is matched again: a picture's detections are right or wrong whatever others are drawn. Precision is asked for
        only where a detection is right, as it can only fall between, so of 5,000 pictures a draw takes some milliseconds.
        """
        n = len(self.pictures)
        if n < 2 or np.isnan(self["ap"]):
            return None
        rng = np.random.default_rng(0)
        redraw = _Redrawn(self._together, self.classes)
        values = np.array([redraw.ap(np.bincount(rng.integers(0, n, n), minlength=n)) for _ in range(draws)])
        low, high = np.nanquantile(values, (0.025, 0.975)) - np.nanmean(values) + self["ap"]
        return max(float(low), 0.0), min(float(high), 1.0)

    def redrawn(self, times: np.ndarray) -> float:
        """AP where picture i is there `times[i]` times; NaN where no truth is left."""
        return _Redrawn(self._together, self.classes).ap(times)


def average_precision(
    truths: Sequence[Truth], found: Sequence[Found], classes: int, kind: Kind = "box"
) -> AveragePrecision:
    """What `found` of each picture is worth against `truths`, whose labels count from 1 to `classes`, by boxes or by masks.

    Raises:
        ValueError: masks are asked for where there are none.
    """
    return AveragePrecision(tuple(match(*both, kind) for both in zip(truths, found, strict=True)), classes)


def interpolated(right: np.ndarray, wrong: np.ndarray, truths: int) -> np.ndarray:
    """The precision at each recall ⟨m,101⟩ of detections by falling score, `right` and `wrong` bool ⟨n,m⟩."""
    hits, misses = right.cumsum(0), wrong.cumsum(0)
    recall = hits / truths
    precision = hits / np.maximum(hits + misses, 1)
    precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    at = np.zeros((right.shape[1], len(RECALLS)))
    for column in range(right.shape[1]):
        places = np.searchsorted(recall[:, column], RECALLS, side="left")
        reached = places < len(recall)
        at[column, reached] = precision[places[reached], column]
    return at


@dataclass(frozen=True, eq=False)
class _Together:
    """The detections of all pictures by class and falling score; the truths picture by picture."""

    labels: np.ndarray
    rank: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    picture: np.ndarray
    wanted: np.ndarray
    real: np.ndarray
    picture_of: np.ndarray

    @classmethod
    def of(cls, pictures: Sequence[Matched]) -> _Together:
        def joined(name: str) -> np.ndarray:
            return np.concatenate([getattr(one, name) for one in pictures])

        labels, scores = joined("labels"), joined("scores")
        picture = np.repeat(np.arange(len(pictures)), [len(one.labels) for one in pictures])
        picture_of = np.repeat(np.arange(len(pictures)), [len(one.wanted) for one in pictures])
        order = np.lexsort((-scores, labels))  # stable
        return cls(
            labels[order], joined("rank")[order], joined("right")[order], joined("wrong")[order], picture[order],
            joined("wanted"), joined("real"), picture_of,
        )  # fmt: skip


class _Redrawn:
    """AP of all classes and overlaps together, where each picture is there any number of times.

    The right detections of all overlaps stand one behind the other, in a piece for each overlap and class. At one of them, with
    r right and w wrong so far, the mean over recalls reads the precision r / (r + w), or a larger one behind it, at as many of the
    101 as the recall reaches anew.
    """

    def __init__(self, every: _Together, classes: int) -> None:
        self._every = every
        real = every.real[:, 0]
        self._wanted, self._picture_of, self._classes = every.wanted[real] - 1, every.picture_of[real], classes
        right, counts = every.right[:, :, 0], ~(every.right[:, :, 0] | every.wrong[:, :, 0])
        overlap, self._place = np.nonzero(right.T)
        piece = overlap * classes + every.labels[self._place] - 1
        self._class = every.labels[self._place] - 1
        # Where each piece begins among the right ones, and its class among all.
        self._first = np.flatnonzero(np.concatenate(([True], piece[1:] != piece[:-1])))[: len(piece)]
        self._piece = np.repeat(np.arange(len(self._first)), np.diff(np.append(self._first, len(piece))))
        self._class_first = np.searchsorted(every.labels, np.arange(1, classes + 1))
        # Few count as neither: they are taken off again.
        self._neither = [np.flatnonzero(column) for column in counts.T]
        self._overlap_ends = np.searchsorted(overlap, np.arange(len(OVERLAPS) + 1))
        self._above = 2.0 * np.arange(len(self._first))[::-1][self._piece]

    def ap(self, times: np.ndarray) -> float:
        every = self._every
        truths = np.bincount(self._wanted, times[self._picture_of], self._classes)
        classes = int((truths > 0).sum())
        if not classes:
            return float("nan")
        if not len(self._place):
            return 0.0
        own = times[every.picture]
        seen = np.concatenate(([0], own.cumsum()))
        count = seen[self._place + 1] - seen[self._class_first][self._class]
        count = count - self._taken_off(own)
        hits = own[self._place].cumsum()
        before = np.concatenate(([0], hits))[self._first]
        hits = hits - before[self._piece]
        precision = np.divide(hits, count, out=np.zeros(len(hits)), where=count > 0) + self._above
        precision = np.maximum.accumulate(precision[::-1])[::-1] - self._above
        reached = _reached(hits / np.maximum(truths, 1)[self._class])
        anew = np.diff(reached, prepend=0)
        anew[self._first] = reached[self._first]
        return float((precision * anew).sum()) / (len(RECALLS) * len(OVERLAPS) * classes)

    def _taken_off(self, own: np.ndarray) -> np.ndarray:
        """How many of those so far in its class count as neither, for each right one."""
        off = np.zeros(len(self._place), own.dtype)
        for (start, end), neither in zip(_pairs(self._overlap_ends), self._neither, strict=True):
            if not len(neither):
                continue
            so_far = np.concatenate(([0], own[neither].cumsum()))
            place, first = self._place[start:end], self._class_first[self._class[start:end]]
            off[start:end] = so_far[np.searchsorted(neither, place)] - so_far[np.searchsorted(neither, first)]
        return off


def _reached(recall: np.ndarray) -> np.ndarray:
    """How many of the 101 recalls are not above each: searchsorted's answer, many times as quick."""
    guess = (100 * recall).astype(np.int64)
    guess += np.append(RECALLS, 2.0)[guess + 1] <= recall
    guess -= RECALLS[guess] > recall
    return guess + 1


def _pairs(ends: np.ndarray) -> Iterator[tuple[int, int]]:
    return zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)


def _mean(values: np.ndarray) -> float:
    own = values[~np.isnan(values)]
    return float(own.mean()) if own.size else float("nan")
