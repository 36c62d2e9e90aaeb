"""What kinds of mistakes a detector makes, and what each costs (after TIDE: Bolya et al., 2020).

At an overlap of 0.5, all areas, the detections of a picture that are wrong (`matching`) are, by the first that holds:

- double: it overlaps a truth of its class by 0.5 or more, which a likelier detection found;
- wrong class: it overlaps a truth of another class by 0.5 or more;
- badly placed: it overlaps a truth of its class by 0.1 or more;
- background: none of these.

A truth is missed where nothing found it, and no detection of the wrong class or badly placed is about it. What a kind costs is
by how much AP at 0.5 would rise were it mended alone: a detection of the wrong class, or badly placed, finds the truth that it
overlaps most, and goes away where that is found; a double or one of background goes away; missed truths are not asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .coco import interpolated
from .matching import Matched

__all__ = ["KINDS", "Kinds", "kinds_of", "sorted_out"]

KINDS = ("missed", "wrong class", "badly placed", "double", "background")
_WRONG_CLASS, _PLACED, _DOUBLE, _BACKGROUND = range(1, 5)
_ENOUGH, _SOME = 0.5, 0.1


@dataclass(frozen=True)
class Kinds:
    """How many mistakes there are of each of `KINDS`, what mending them would add to AP at 0.5, how many are `right`."""

    counts: tuple[int, ...]
    costs: tuple[float, ...]
    right: int
    ap50: float


@dataclass(frozen=True, eq=False)
class Sorted:
    """A picture's mistakes: `kind` ⟨n⟩ of each detection, a place in `KINDS` or 0 of one that is no mistake; `meant` ⟨n⟩ the truth
    that it would find were it mended, -1 where it would go away; `missed` bool ⟨G⟩ of its truths."""

    kind: np.ndarray
    meant: np.ndarray
    missed: np.ndarray


def sorted_out(one: Matched) -> Sorted:
    """The mistakes of one picture."""
    real = one.real[:, 0]
    same = one.labels[:, None] == one.wanted[None]
    own, other = (np.where(real & where, one.overlaps, 0.0) for where in (same, ~same))
    wrong = one.wrong[:, 0, 0]
    kind = np.where(wrong, _BACKGROUND, 0)
    meant = np.full(len(kind), -1)
    if len(one.wanted):
        most, others = own.max(1), other.max(1)
        placed = wrong & (most >= _SOME)
        kind[placed], meant[placed] = _PLACED, own.argmax(1)[placed]
        mistaken = wrong & (others >= _ENOUGH)
        kind[mistaken], meant[mistaken] = _WRONG_CLASS, other.argmax(1)[mistaken]
        double = wrong & (most >= _ENOUGH)
        kind[double], meant[double] = _DOUBLE, -1
    free = real & ~one.taken
    # Of several about one truth the likeliest finds it, as they stand in that order.
    gone: set[int] = set()
    for kind_ in (_WRONG_CLASS, _PLACED):
        gone.clear()
        for d in np.flatnonzero(kind == kind_):
            truth = int(meant[d])
            if not free[truth] or truth in gone:
                meant[d] = -1
            gone.add(truth)
    missed = free.copy()
    missed[meant[meant >= 0]] = False
    return Sorted(kind, meant, missed)


def kinds_of(pictures: Sequence[Matched], classes: int) -> Kinds:
    """The mistakes of all pictures together, and their costs; `costs` are 0 and `ap50` NaN where there is no truth."""
    found = [sorted_out(one) for one in pictures]
    kind, meant = (np.concatenate([getattr(one, name) for one in found]) for name in ("kind", "meant"))
    labels, scores, right, wrong = (
        np.concatenate(parts)
        for parts in zip(
            *((one.labels, one.scores, one.right[:, 0, 0], one.wrong[:, 0, 0]) for one in pictures), strict=True
        )
    )
    wanted = np.concatenate([one.wanted[one.real[:, 0]] for one in pictures])
    missed = np.concatenate([one.wanted[own.missed] for one, own in zip(pictures, found, strict=True)])
    # The class of the truth that each detection is about.
    about = np.concatenate(
        [np.where(own.meant >= 0, one.wanted[own.meant], 0) if len(one.wanted) else np.zeros(len(own.kind), np.int64)
         for one, own in zip(pictures, found, strict=True)]
    )  # fmt: skip
    truths = np.bincount(wanted, minlength=classes + 1)
    usual = _ap50(labels, scores, right, wrong, truths)
    costs = [_ap50(labels, scores, right, wrong, truths - np.bincount(missed, minlength=classes + 1)) - usual]
    for one in range(1, len(KINDS)):
        mended = (kind == one) & (meant >= 0)
        costs.append(
            _ap50(np.where(mended, about, labels), scores, right | mended, wrong & (kind != one), truths) - usual
        )
    counts = [len(missed), *(int((kind == one).sum()) for one in range(1, len(KINDS)))]
    return Kinds(tuple(counts), tuple(float(np.nan_to_num(cost)) for cost in costs), int(right.sum()), usual)


def _ap50(labels: np.ndarray, scores: np.ndarray, right: np.ndarray, wrong: np.ndarray, truths: np.ndarray) -> float:
    """The mean over classes of which truths are left."""
    order = np.lexsort((-scores, labels))
    labels, right, wrong = labels[order], right[order], wrong[order]
    means = []
    for k in np.flatnonzero(truths[1:] > 0) + 1:
        own = slice(*np.searchsorted(labels, (k, k + 1)))
        means.append(interpolated(right[own, None], wrong[own, None], int(truths[k])).mean())
    return float(np.mean(means)) if means else float("nan")
