"""What flows between units: the shape of a map, and a map that others may read."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Map", "Shape"]


@dataclass(frozen=True, slots=True)
class Shape:
    """A map without its batch: `channels`, and `sides` (H, W) or (T, H, W); () is a vector.

    `named` is no map but the number of one of `channels` classes: an integer for each input.
    """

    channels: int
    sides: tuple[int, ...] = ()
    named: bool = False

    @property
    def dims(self) -> tuple[int, ...]:
        """As a tensor has it, without the batch: (C, H, W), (C, T, H, W), (C,), or () of the number of a class."""
        return () if self.named else (self.channels, *self.sides)

    def strided(self, stride: int, channels: int, over: int = 1) -> Shape:
        """What a unit of that stride makes of it, `over` that over time: halving rounds up, with either padding convention.

        >>> Shape(16, (7, 10)).strided(2, 32)
        Shape(channels=32, sides=(4, 5), named=False)
        >>> Shape(16, (5, 7, 10)).strided(2, 32, over=2).sides
        (3, 4, 5)
        """
        if stride == over == 1:
            return Shape(channels, self.sides)
        time, space = self.sides[:-2], self.sides[-2:]
        return Shape(channels, (*(-(-one // over) for one in time), *(-(-side // stride) for side in space)))


@dataclass(frozen=True, slots=True)
class Map:
    """A map that a neck or a head may read: the path of the unit that puts it out, its total stride and its shape.

    `variance` is what signal theory expects of it, 1 where a block does not reckon with it.
    """

    path: str
    stride: int
    shape: Shape
    variance: float = 1.0
