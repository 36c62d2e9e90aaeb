"""Large scale jitter: a picture at a random size on a canvas of one size, by one move of pixels and objects.

    s uniform in `scale`;  (H', W') = round(s (H, W));  r = min(H'/h, W'/w);  the picture is resized to round(r (h, w))

where (H, W) are the canvas's sides and (h, w) the picture's. Where the resized picture is larger than the canvas, an offset is
drawn for each axis, uniform in 0 to what is too much, and the canvas is cut out there; where it is smaller, it stands at the
top left and the rest is black. A mirrored picture is mirrored first.

That is the crop of tensorflow/tpu's detection models, which fills up with the mean colour where black stands here, as it stands
beside a picture in evaluation. Only what is seen of the picture is resized, to the same values as if all of it were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..recipe import JitterAugment
from .moves import Move

__all__ = ["Jitter"]

Sides = tuple[int, int]


@dataclass(frozen=True)
class Jitter:
    """What is done to one picture: resized to `size` (height, width), after it was mirrored or not, and seen from (top, left)
    on a canvas of `sides`."""

    size: Sides
    top: int
    left: int
    mirrored: bool
    sides: Sides

    @classmethod
    def drawn(cls, policy: JitterAugment, draws: np.ndarray, mirrored: bool, picture: Sides, sides: Sides) -> Jitter:
        """By three numbers in [0, 1): of a picture of this height and width."""
        low, high = policy.scale
        scale = low + (high - low) * float(draws[0])
        by = min(round(scale * own) / whole for own, whole in zip(sides, picture, strict=True))
        size = max(1, round(by * picture[0])), max(1, round(by * picture[1]))
        top, left = (
            int(float(draw) * (max(0, own - side) + 1)) for draw, own, side in zip(draws[1:3], size, sides, strict=True)
        )
        return cls(size, top, left, mirrored, sides)

    @property
    def seen(self) -> Sides:
        """The height and the width of what the canvas shows of the picture."""
        return min(self.size[0], self.sides[0]), min(self.size[1], self.sides[1])

    def pixels(self, picture: np.ndarray) -> np.ndarray:
        """The canvas, uint8 (height, width, channels), of a picture of whatever size it was decoded to. Bilinear, antialiased."""
        high, wide = self.seen
        left = self.size[1] - self.left - wide if self.mirrored else self.left
        down, along = picture.shape[0] / self.size[0], picture.shape[1] / self.size[1]
        box = left * along, self.top * down, (left + wide) * along, (self.top + high) * down
        grey = picture.shape[2] == 1
        whole = Image.fromarray(np.ascontiguousarray(picture[..., 0] if grey else picture))
        box = box[0], box[1], min(box[2], whole.width), min(box[3], whole.height)  # of rounding
        part = np.asarray(whole.resize((wide, high), Image.Resampling.BILINEAR, box=box)).reshape(high, wide, -1)
        canvas = np.zeros((*self.sides, picture.shape[2]), np.uint8)
        canvas[:high, :wide] = part[:, ::-1] if self.mirrored else part
        return canvas

    def move(self, picture: Sides) -> Move:
        """Where the canvas's pixels lie in a picture that was decoded to this height and width."""
        flip = Move.flipped(picture[1]) if self.mirrored else Move.identity()
        resize = Move.crop_resize((0, 0, *picture), self.size)
        return flip.then(resize).then(Move.crop_resize((self.top, self.left, *self.sides), self.sides))
