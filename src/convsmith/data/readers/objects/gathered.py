"""Objects picked up picture by picture, whatever file says them: what is mended on the way is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ....units import plural
from ...targets import Truth

__all__ = ["Gathered", "Mended", "Object"]


@dataclass(frozen=True, slots=True)
class Object:
    """One object: its box (x1, y1, x2, y2), class from 1, area in pixels, and mask as compressed runs where it has one."""

    box: tuple[float, float, float, float]
    label: int
    area: float
    rle: bytes | None
    crowd: bool = False


@dataclass(eq=False)
class Mended:
    """How often something was mended, and where first."""

    _first: dict[str, str] = field(default_factory=dict)
    _number: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, where: object) -> None:
        self._first.setdefault(what, str(where))
        self._number[what] = self._number.get(what, 0) + 1

    def notes(self, one: str) -> tuple[str, ...]:
        """A sentence for each kind; `one` is what was counted, such as an annotation."""
        return tuple(f"{what}: {plural(n, one)}, {self._first[what]} first" for what, n in self._number.items())


@dataclass(eq=False)
class Gathered:
    """The objects of the pictures of one part. `masked`: all of them have masks."""

    masked: bool
    truths: list[Truth] = field(default_factory=list)

    def add(self, objects: Iterable[Object], size: tuple[int, int], image_id: int | str) -> None:
        rows: Sequence[Object] = list(objects)
        rles = tuple(row.rle or b"" for row in rows) if self.masked else None
        self.truths.append(
            Truth(
                np.array([row.box for row in rows], np.float64).reshape(-1, 4),
                np.array([row.label for row in rows], np.int64),
                np.array([row.crowd for row in rows], bool),
                np.array([row.area for row in rows], np.float64),
                rles,
                size,
                image_id,
            )
        )
