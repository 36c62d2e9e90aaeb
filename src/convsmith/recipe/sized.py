"""A number of a recipe that depends on how large the network is: regularisation grows with capacity.

The papers give it as tables over their families. Here a table is a value, `BySize`, that may stand wherever a recipe has
such a number, and a network between two rows, or of another family, gets what lies between them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar, final

from ..ranges import at_least, check_numbers
from ..tagged import Tagged

__all__ = ["BySize", "Size", "every_size", "settled"]


class Size(StrEnum):
    """macs: the multiply-adds of one image, which count width, depth and resolution. resolution: the side in pixels."""

    MACS = "macs"
    RESOLUTION = "resolution"


@final
@dataclass(frozen=True)
class BySize(Tagged):
    """A table of `rows` (size, value), read at a network's size.

    Between two rows the value is linear in the logarithm of the size, since families are geometric; below the first and
    above the last row it is theirs. `epochs` is the length of run that the table was made for; where it is above 0, a
    shorter run gets the value times run / `epochs`, because what runs short overfits less. No paper gives that last rule:
    it is ours, and off by default.

    >>> BySize(Size.MACS, ((1e9, 0.2), (4e9, 0.4))).at(2e9)
    0.3
    """

    kind: ClassVar[str] = "by-size"
    of: Size
    rows: tuple[tuple[float, float], ...]
    epochs: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, "table by size")
        sizes = [size for size, _ in self.rows]
        if not sizes or sizes[0] <= 0 or any(a >= b for a, b in pairwise(sizes)):
            raise ValueError(f"rows of a table by size need sizes above 0 that rise; got {sizes}")
        at_least("epochs of a table by size", self.epochs, 0)

    def at(self, size: float, *, epochs: float = math.inf) -> float:
        """The value for a network of that size, trained that long."""
        after = bisect_right([row[0] for row in self.rows], size)
        if after in (0, len(self.rows)):
            value = self.rows[min(after, len(self.rows) - 1)][1]
        else:
            (low, one), (high, other) = self.rows[after - 1], self.rows[after]
            value = one + (other - one) * math.log(size / low) / math.log(high / low)
        return round(value * (min(1.0, epochs / self.epochs) if self.epochs else 1.0), 6)


def settled(value: float | BySize, *, macs: float, resolution: float, epochs: float) -> float:
    """The number that `value` says for a network of that size."""
    if not isinstance(value, BySize):
        return value
    return value.at(macs if value.of is Size.MACS else resolution, epochs=epochs)


def every_size(value: float | BySize) -> tuple[float, ...]:
    """What `value` says for networks of any size, so that all of it can be held against what is allowed."""
    return tuple(number for _, number in value.rows) if isinstance(value, BySize) else (value,)
