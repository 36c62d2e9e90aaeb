"""Where the network's pixels lie in the picture: the one place that knows of half pixels.

A point has whole coordinates (x to the right, y down) in the middle of a pixel, so that the picture's corner is at
(-0.5, -0.5). Resizing by s takes x to (x + 0.5) s - 0.5, as torch and Pillow resize.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Move", "sampled_at_turn"]

Row = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Move:
    """An affine map from the network's pixels to the picture's: (x, y) goes to rows[k] · (x, y, 1), k = 0 for x, 1 for y.

    It points that way because that is how pixels are fetched; `points` goes against it.
    """

    rows: tuple[Row, Row]

    @staticmethod
    def identity() -> Move:
        """Of a network that sees the picture as it is."""
        return Move(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))

    @staticmethod
    def crop_resize(box: tuple[int, int, int, int], size: tuple[int, int]) -> Move:
        """Of the rectangle `box` (top, left, height, width) of a picture, resized to `size` (height, width)."""
        top, left, height, width = box
        along, down = width / size[1], height / size[0]
        return Move(((along, 0.0, left + (along - 1) / 2), (0.0, down, top + (down - 1) / 2)))

    @staticmethod
    def reduced(whole: tuple[int, int], size: tuple[int, int]) -> Move:
        """Of a picture of `whole` (height, width) that was decoded to `size`.

        A JPEG's decoder gives every second, fourth or eighth pixel and rounds the number of them up, which leaves the last
        of them half outside; any other size is a resize.
        """
        for step in (1, 2, 4, 8):
            if size == (-(-whole[0] // step), -(-whole[1] // step)):
                return Move(((step, 0.0, (step - 1) / 2), (0.0, step, (step - 1) / 2)))
        return Move.crop_resize((0, 0, *whole), size)

    @staticmethod
    def flipped(width: int) -> Move:
        """Of the mirror image of a picture of so many pixels."""
        return Move(((-1.0, 0.0, width - 1.0), (0.0, 1.0, 0.0)))

    @staticmethod
    def rotated(degrees: float, height: int, width: int) -> Move:
        """Of a picture turned about its middle, anticlockwise where `degrees` is above 0."""
        return Move.sampled(sampled_at_turn(degrees, height, width))

    @staticmethod
    def sampled(affine: tuple[float, float, float, float, float, float]) -> Move:
        """As Pillow's AFFINE: the pixel over (x, y) is the picture's over (a x + b y + c, d x + e y + f), both from corners."""
        a, b, c, d, e, f = affine
        return Move(((a, b, c + (a + b - 1) / 2), (d, e, f + (d + e - 1) / 2)))

    @property
    def mirrored(self) -> bool:
        """Whether left and right have changed places: a left hand then looks like a right one."""
        return self._area < 0

    @property
    def zoom(self) -> float:
        """How many of the network's pixels stand for one of the picture, along a line; the mean of both directions."""
        return 1 / math.sqrt(abs(self._area))

    def points(self, xy: np.ndarray) -> np.ndarray:
        """Points of the picture ⟨..., 2⟩, as the network sees them. NaN stays NaN."""
        (a, b, c), (d, e, f) = self.rows
        x, y = xy[..., 0] - c, xy[..., 1] - f
        return np.stack((e * x - b * y, a * y - d * x), axis=-1) / self._area

    def back(self, xy: np.ndarray) -> np.ndarray:
        """Points that the network sees ⟨..., 2⟩, in the picture. NaN stays NaN."""
        (a, b, c), (d, e, f) = self.rows
        x, y = xy[..., 0], xy[..., 1]
        return np.stack((a * x + b * y + c, d * x + e * y + f), axis=-1)

    def then(self, after: Move) -> Move:
        """This move of a picture, and `after` of what it made of it."""
        (a, b, c), (d, e, f) = self.rows

        def through(row: Row) -> Row:
            x, y, one = row
            (ax, bx, cx), (ay, by, cy) = after.rows
            return x * ax + y * ay, x * bx + y * by, x * cx + y * cy + one

        return Move((through((a, b, c)), through((d, e, f))))

    @property
    def _area(self) -> float:
        (a, b, _), (d, e, _) = self.rows
        return a * e - b * d


def sampled_at_turn(degrees: float, height: int, width: int) -> tuple[float, float, float, float, float, float]:
    """From an output pixel of a picture that is turned about its middle to where it comes from, both from corners."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = width / 2, height / 2
    return cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y
