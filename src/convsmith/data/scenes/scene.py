"""A picture of several handwritten digits: a pure function of a seed, a part of the data, and a number.

The digits are scikit-learn's, of 8 x 8 pixels: the first 1,200 in scenes to train on, the other 597 in
scenes to validate on. Four to six are put on a canvas of 128 x 128 pixels, each enlarged to 20 to 48 pixels a side
(bicubic); a digit is where its value, from 0 to 1, is above 0.35. No more than a quarter of a new digit lies over older ones,
which it covers. A digit of which less than half is still seen, or less than 30 pixels, is taken out of the scene, so that there
is nothing to be seen that is not told. Behind them is a smooth coloured ground with noise.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from PIL import Image

__all__ = ["CLASSES", "SIDE", "TRAINED", "Digit", "Scene"]

SIDE = 128
TRAINED = 1200  # digits that scenes to train on are made of
CLASSES = tuple("0123456789")

_FEWEST, _MOST = 4, 6
_SMALLEST, _LARGEST = 20, 48
_INSIDE = 0.35  # of the highest value
_OVER = 0.25  # of a new digit
_TRIES = 20  # places that are tried for one digit
_SEEN, _PIXELS = 0.5, 30
_NOISE = 12  # either way, of 255


@dataclass(frozen=True, eq=False)
class Digit:
    """A digit of a scene: what it is, its values ⟨side, side⟩ in 0 to 1, its top left corner and its colour ⟨3⟩ of 255."""

    label: int
    values: np.ndarray
    top: int
    left: int
    colour: np.ndarray

    @property
    def place(self) -> tuple[slice, slice]:
        side = len(self.values)
        return slice(self.top, self.top + side), slice(self.left, self.left + side)

    @cached_property
    def inside(self) -> np.ndarray:
        return np.asarray(self.values > _INSIDE)


@dataclass(frozen=True)
class Scene:
    """Scene `number` of a part: `train` chooses the digits that it may have."""

    train: bool
    number: int
    seed: int = 0

    @cached_property
    def _all(self) -> tuple[tuple[Digit, ...], np.ndarray]:
        """The digits from the lowest to the topmost, and of each pixel which of them it shows, counted from 1: int8 ⟨128,128⟩."""
        draw = self._generator(0)
        images, labels = _digits()
        first, n = (0, TRAINED) if self.train else (TRAINED, len(images) - TRAINED)
        digits: list[Digit] = []
        owner = np.zeros((SIDE, SIDE), np.int8)
        for _ in range(int(draw.integers(_FEWEST, _MOST + 1))):
            which, side = first + int(draw.integers(n)), int(draw.integers(_SMALLEST, _LARGEST + 1))
            hue, saturation, value = draw.random(3)
            colour = 255 * np.array(colorsys.hsv_to_rgb(hue, 0.2 + 0.8 * saturation, 0.8 + 0.2 * value))
            values = _enlarged(images[which], side)
            for top, left in draw.integers(0, SIDE - side + 1, (_TRIES, 2)).tolist():
                one = Digit(int(labels[which]), values, top, left, colour.astype(np.float32))
                if (owner[one.place][one.inside] > 0).sum() <= _OVER * one.inside.sum():
                    digits.append(one)
                    _put(owner, one, len(digits))
                    break
        seen = np.bincount(owner.reshape(-1), minlength=len(digits) + 1)[1:]
        kept = tuple(
            one for one, n in zip(digits, seen.tolist(), strict=True) if n >= max(_PIXELS, _SEEN * one.inside.sum())
        )
        if len(kept) < len(digits):
            owner[:] = 0
            for k, one in enumerate(kept):
                _put(owner, one, k + 1)
        return kept, owner

    @property
    def digits(self) -> tuple[Digit, ...]:
        """Those that are seen, from the lowest to the topmost."""
        return self._all[0]

    @property
    def owner(self) -> np.ndarray:
        """Which of them each pixel shows, counted from 1; 0 where it shows none: int8 ⟨128,128⟩."""
        return self._all[1]

    def picture(self) -> np.ndarray:
        """uint8 ⟨128,128,3⟩."""
        digits, owner = self._all
        draw = self._generator(1)
        ground = draw.integers(20, 140, (4, 4, 3), dtype=np.uint8)
        pixels = np.array(Image.fromarray(ground).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
        for k, one in enumerate(digits):
            own = owner[one.place] == k + 1
            share = np.minimum(1, one.values[own] / 0.7)[:, None]  # half the ground's at the edge
            below = pixels[one.place][own]
            pixels[one.place][own] = below + share * (one.colour - below)
        noise = draw.integers(0, 2 * _NOISE + 1, pixels.shape, dtype=np.uint8)
        return np.asarray(np.clip(pixels + noise - _NOISE + 0.5, 0, 255).astype(np.uint8))

    def _generator(self, what: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, int(self.train), self.number, what))


def _put(owner: np.ndarray, digit: Digit, number: int) -> None:
    owner[digit.place][digit.inside] = number


def _enlarged(image: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits, float32 ⟨1797,8,8⟩ in 0 to 1, and what they are."""
    from sklearn.datasets import load_digits  # a second to import

    found = load_digits()
    return (found.images / 16).astype(np.float32), found.target
