"""What a generator is worth: how its images are distributed, whether they are of the class asked for, whether they are new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..scores import Metric, Scores, Sheet, Sheets, Table, Unit
from .distances import class_score, frechet, kernel, split_scores, with_interval
from .intervals import student, wilson
from .thumbnails import as_uri, montage

__all__ = ["FID", "Judge", "Made", "Seen", "Synthesised", "Terms", "as_bytes", "terms_of"]

# A class is covered by this share of the images that it would have were all classes as many.
_COVERED = 0.5
# Pairs of a made image and the nearest real one that are shown: those nearest to one, and some others.
_PAIRS = 10
_ROWS = 512


@dataclass(frozen=True)
class Made:
    """What a generator made: uint8 images ⟨N,C,H,W⟩, and the classes ⟨N⟩ that it was asked for."""

    images: Tensor
    asked: Tensor


def as_bytes(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """A generator's images ⟨N,C,H,W⟩, normalised as what it learnt from was, as uint8: where both are 1/2, round(127.5 (x + 1))."""
    middle, spread = (images.new_tensor(one)[:, None, None] for one in (mean, std))
    return (255 * (images * spread + middle)).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True, eq=False)
class Seen:
    """What a judge sees in n images: features ⟨n,d⟩ for the Fréchet distance, which wants few, others for the kernel distance and
    for what is nearest, the probabilities of the classes ⟨n,classes⟩, and `told`, those of other classes, ⟨n,0⟩ of no others: the
    ones that the network knows whose features the distances are in."""

    narrow: np.ndarray
    wide: np.ndarray
    near: np.ndarray
    shares: np.ndarray
    told: np.ndarray

    def __len__(self) -> int:
        return len(self.shares)

    def take(self, n: int) -> Seen:
        """`n` of them, evenly spread."""
        chosen = np.linspace(0, len(self) - 1, n).round().astype(int)
        return Seen(*(one[chosen] for one in (self.narrow, self.wide, self.near, self.shares, self.told)))


@dataclass(frozen=True)
class Terms:
    """What the numbers are called that are reckoned in a judge's features, the distances and the class score of its own classes,
    and what they can be compared with."""

    kernel: str
    frechet: str
    score: str
    compared: str


def terms_of(name: str) -> Terms:
    """Those of a network that is called so. They are never those of published numbers."""
    return Terms(
        f"1000 KD-{name}", f"FD-{name}", f"class score of {name}", "they are not comparable with any published FID"
    )


# Of the network that all publish these numbers by.
FID = Terms(
    "1000 KID",
    "FID",
    "Inception Score",
    "published FIDs hold 50,000 images against all that were trained on, and those of fewer are larger",
)


class Judge(Protocol):
    """A network that knows real images. `terms` say what its numbers are called, and `says` whose features it has; `accuracy` is
    its share of right answers on the real images that it is held against, None where it is not known."""

    @property
    def terms(self) -> Terms: ...
    @property
    def says(self) -> str: ...
    @property
    def accuracy(self) -> float | None: ...
    def look(self, images: Tensor) -> Seen: ...
    def known(self, n: int) -> Seen:
        """What is seen in `n` images that were trained on, or in all where there are fewer."""

    def neighbours(self) -> tuple[np.ndarray, Tensor]:
        """The features, as `Seen.near`, of images that were trained on, many or all, and these: uint8."""


class Synthesised:
    """Holds made images against as many real ones that were not trained on.

    `kernel_distance`, times 1000, and `frechet_distance`, each in the judge's features and beside its floor: that of as many
    training images. `conditional_accuracy`: the share of images that the judge takes for the class asked for; `class_score`;
    `coverage`: the share of classes that have at least half as many images as they should; `nearest`: the median distance to the
    nearest training image as a share of what real held-out images have, far below 1 where training images are repeated.
    `inception_score`, of a judge that knows other classes: the mean of ten parts' class scores in these, beside that of the real
    images. `brief` leaves out intervals, neighbours and what is drawn. `sheets` gives more to draw.
    """

    def __init__(
        self,
        names: Sequence[str],
        judge: Judge,
        *,
        brief: bool = False,
        sheets: Callable[[], tuple[Sheet, ...]] = tuple,
    ) -> None:
        self._names, self._judge, self._brief, self._sheets = tuple(names), judge, brief, sheets
        self._made: list[Tensor] = []
        self._asked: list[Tensor] = []
        self._real: list[Tensor] = []

    def add(self, outputs: Made, batch: Any) -> None:
        if not outputs.images.numel():
            raise UserError("the generator made nothing")
        self._made.append(outputs.images.cpu())
        self._asked.append(outputs.asked.cpu())
        self._real.append(batch.images.cpu())

    def each(self) -> None:
        return None

    def scores(self, split: str, where: Callable[[int], str | None]) -> Scores:
        if not self._made:
            raise UserError(f"there are no images to hold made ones against in split '{split}'")
        images, asked = torch.cat(self._made), torch.cat(self._asked).numpy()
        made, real = self._judge.look(images), self._judge.look(torch.cat(self._real))
        others = self._judge.known(len(made))
        n = len(others)
        held = real.take(n)
        right = int((made.shares.argmax(1) == asked).sum())
        counts = np.bincount(made.shares.argmax(1), minlength=len(self._names))
        covered = int((counts >= _COVERED * len(asked) / len(self._names)).sum())
        metrics = [
            *self._distances(made.take(n), held, others, n),
            Metric("conditional_accuracy", right / len(asked), wilson(right, len(asked)), label="conditional accuracy"),
            Metric("coverage", covered / len(self._names), label="classes covered"),
            Metric(
                "class_score",
                class_score(made.shares),
                None,
                Unit.NONE,
                label=f"class score of at most {len(self._names)}",
            ),
            *self._score(made.take(n), held),
        ]
        if self._judge.accuracy is not None:
            metrics.append(Metric("judge", self._judge.accuracy, label="the judge itself on real images"))
        blocks: tuple[Any, ...] = ()
        if not self._brief:
            known, pictures = self._judge.neighbours()
            nearest, at = _nearest(made.near, known)
            usual = float(np.median(_nearest(held.near, known)[0]))
            label = "distance to the nearest training image, of a held-out image 1"
            ratio = float(np.median(nearest)) / usual if usual else 0.0
            metrics.append(Metric("nearest", ratio, None, Unit.NONE, label=label))
            blocks = (
                self._each_class(made, asked, counts, nearest, usual),
                Sheets((*self._sheets(), _beside(images, pictures, nearest, at))),
            )
        return Scores(split, n, tuple(metrics), blocks=blocks, notes=self._notes(n, made.narrow.shape[1]))

    def _distances(self, made: Seen, held: Seen, others: Seen, n: int) -> list[Metric]:
        terms, found = self._judge.terms, []
        for name, title, times, which, points in (
            ("kernel", terms.kernel, 1000.0, kernel, (made.wide, held.wide, others.wide)),
            ("frechet", terms.frechet, 1.0, frechet, (made.narrow, held.narrow, others.narrow)),
        ):
            a, b, c = points
            floor = times * which(c, b)
            value, interval = (which(a, b), None) if self._brief else with_interval(which, a, b)
            ends = None if interval is None else (times * interval[0], times * interval[1])
            of = f"{title}({a.shape[1]}, n={n}; floor {floor:.4g})"
            found += [
                Metric(f"{name}_distance", times * value, ends, Unit.NONE, False, of),
                Metric(f"{name}_floor", floor, None, Unit.NONE, False, f"floor of {title}"),
            ]
        return found

    def _score(self, made: Seen, held: Seen) -> list[Metric]:
        """In the classes of the network whose features the distances are in, beside that of as many real images."""
        if not made.told.shape[1]:
            return []
        title, own, real = self._judge.terms.score, split_scores(made.told), np.mean(split_scores(held.told))
        of = f"{title}({len(own)} parts of {len(made) // len(own)}; real images {real:.4g})"
        ends = None if self._brief else student(own)
        return [
            Metric("inception_score", float(np.mean(own)), ends, Unit.NONE, label=of),
            Metric("inception_score_real", float(real), None, Unit.NONE, label=f"{title} of real images"),
        ]

    def _each_class(
        self, made: Seen, asked: np.ndarray, counts: np.ndarray, nearest: np.ndarray, usual: float
    ) -> Table:
        told, rows = made.shares.argmax(1), []
        for k, name in enumerate(self._names):
            own = asked == k
            n = int(own.sum())
            share = float((told[own] == k).mean()) if n else None
            near = float(np.median(nearest[own])) / usual if n and usual else None
            rows.append((name, n, share, int(counts[k]), near))
        return Table(
            "Each class", ("class", "asked for", "taken for it", "taken for it of all", "nearest"), tuple(rows)
        )

    def _notes(self, n: int, dims: int) -> tuple[str, ...]:
        notes = [
            f"distances are in features of {self._judge.says}, of {n:,} images each; {self._judge.terms.compared}",
            f"a floor is the same distance of {n:,} training images from the same held-out ones: no generator is expected below it",
        ]
        if n <= dims:
            notes.append(
                f"{n:,} images say little of a covariance of {dims:,} features: read the Fréchet distance beside its floor alone"
            )
        return tuple(notes)


def _nearest(points: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distance of each of `points` to the nearest of `known`, and which that is."""
    square = (known.astype(np.float64) ** 2).sum(1)
    distances, at = [], []
    for first in range(0, len(points), _ROWS):
        part = points[first : first + _ROWS].astype(np.float64)
        apart = (part**2).sum(1)[:, None] + square - 2 * part @ known.astype(np.float64).T
        at.append(apart.argmin(1))
        distances.append(np.sqrt(apart.min(1).clip(0)))
    return np.concatenate(distances), np.concatenate(at)


def _beside(images: Tensor, known: Tensor, nearest: np.ndarray, at: np.ndarray) -> Sheet:
    """Made images over the training images nearest to them: the nearest ones first, then some others evenly spread."""
    order = np.argsort(nearest, kind="stable")
    n = min(_PAIRS, len(order))
    rows = []
    for own in (order[:n], order[np.linspace(0, len(order) - 1, n).round().astype(int)]):
        rows += [images[own].numpy(), known[at[own]].numpy()]
    says = "Made images over the training image nearest to each: above the nearest ones of all, below others, from near to far."
    return Sheet("Nearest training images", as_uri(montage(np.concatenate(rows), n)), says, "nearest")
