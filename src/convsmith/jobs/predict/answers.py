"""What a network says of an image, or of a stretch of a film: labels with probabilities, where points are, which objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np

from ...shown import Shown
from ...units import plural
from .spotted import Spotted

__all__ = ["Answer", "Located", "Prediction", "Predictions", "Spotted", "Stretch", "Unreadable"]

_COMMON = 3  # labels that the first line of many predictions names
T = TypeVar("T")


class _Ranked(Shown):
    """What has labels with their probabilities in `top`, the best first."""

    top: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        return self.top[0][0]

    @property
    def probability(self) -> float:
        return self.top[0][1]

    @property
    def shares(self) -> str:
        """All of them in words."""
        return ", ".join(f"{label} {share:.1%}" for label, share in self.top)

    def ranked(self) -> dict[str, object]:
        """All of them for JSON, the best beside them."""
        rows = [{"label": label, "probability": share} for label, share in self.top]
        return {**rows[0], "top": rows}


@dataclass(frozen=True, repr=False)
class Prediction(_Ranked):
    """What the network says of one image: labels with their probabilities, the best first.

    `index` counts the images as they were given, from 0; `path` is None where the image came from no file.
    """

    index: int
    path: str | None
    top: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return f"{self.path or f'image {self.index}'}: {self.shares}"

    def to_record(self) -> dict[str, object]:
        return {"index": self.index, "path": self.path, **self.ranked()}


@dataclass(frozen=True, repr=False, eq=False)
class Located(Shown):
    """Where the network finds things in one image: `points` ⟨K,2⟩ as (x, y) in the image's own pixels, whole numbers being the
    middles of pixels, and their likelihoods ⟨K⟩. There is a point of every name, however unlikely.

    `index` counts the images as they were given, from 0; `path` is None where the image came from no file.
    """

    index: int
    path: str | None
    names: tuple[str, ...]
    points: np.ndarray
    likelihood: np.ndarray

    def __str__(self) -> str:
        each = zip(self.names, self.points.tolist(), self.likelihood.tolist(), strict=True)
        found = ", ".join(f"{name} ({x:.1f}, {y:.1f}) {sure:.2f}" for name, (x, y), sure in each)
        return f"{self.path or f'image {self.index}'}: {found}"

    def to_record(self) -> dict[str, object]:
        each = zip(self.names, self.points.tolist(), self.likelihood.tolist(), strict=True)
        points = {name: {"x": x, "y": y, "likelihood": sure} for name, (x, y), sure in each}
        return {"index": self.index, "path": self.path, "points": points}


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be read, and why."""

    index: int
    path: str | None
    why: str

    def to_record(self) -> dict[str, object]:
        return {"index": self.index, "path": self.path, "why": self.why}


@dataclass(frozen=True, repr=False)
class Stretch(_Ranked):
    """What the network says of a film from second `start` to second `end`: labels with their probabilities, the best first."""

    index: int
    start: float
    end: float
    top: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return f"{self.start:.2f} to {self.end:.2f} s: {self.shares}"

    def to_record(self) -> dict[str, object]:
        return {"index": self.index, "start": self.start, "end": self.end, **self.ranked()}


Answer = Prediction | Located | Spotted


@dataclass(frozen=True, repr=False)
class Predictions(Shown, Sequence[Answer]):
    """What a network says of images, in their order; `unreadable` are those that could not be read and are not among `rows`."""

    rows: tuple[Answer, ...]
    unreadable: tuple[Unreadable, ...] = ()

    def __str__(self) -> str:
        lost = f", {len(self.unreadable)} of them unreadable" if self.unreadable else ""
        labels = Counter(one.label for one in self.rows if isinstance(one, Prediction))
        labels.update(label for one in self.rows if isinstance(one, Spotted) for label in one.labels)
        found = labels.most_common(_COMMON)
        said = ": " + ", ".join(f"{label} {n}" for label, n in found) if found else ""
        return "\n".join((f"{plural(len(self) + len(self.unreadable), 'image')}{lost}{said}", *map(str, self.rows)))

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Answer: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Answer, ...]: ...
    def __getitem__(self, at: int | slice) -> Answer | tuple[Answer, ...]:
        return self.rows[at]

    def to_record(self) -> dict[str, object]:
        return {
            "images": len(self.rows) + len(self.unreadable),
            "predictions": [one.to_record() for one in self.rows],
            "unreadable": [one.to_record() for one in self.unreadable],
        }
