"""A film of one handwritten digit that moves in one of eight ways: a pure function of a seed, a part of the data, and a number.

The digits are scikit-learn's, of 8 x 8 pixels, each shown twice as large: the first 1,200 in films to train on, the other 597 in
films to validate on. The field is 32 x 32 pixels and has no border: what leaves at one side comes in at the other. A digit begins
anywhere, each place as likely as any other, and moves by whole pixels, one or two a frame.

So no frame by itself says how the digit moves: a step by whole pixels takes the 1,024 places to the 1,024 places, each once, and
in frame t of the films of any class a digit is anywhere, as likely as anywhere else. Where it is going is seen in two frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

__all__ = ["CLASSES", "FRAMES", "SIDE", "TRAINED", "WAYS", "MovingDigit", "places"]

SIDE = 32
FRAMES = 24
TRAINED = 1200  # digits that films to train on are made of

# Pixels down and to the right at each step, by the name of the class.
WAYS = {
    "up": (-1, 0), "up-right": (-1, 1), "right": (0, 1), "down-right": (1, 1),
    "down": (1, 0), "down-left": (1, -1), "left": (0, -1), "up-left": (-1, -1),
}  # fmt: skip
CLASSES = tuple(WAYS)

_TIMES = 2  # larger than scikit-learn's
_FASTEST = 2
_GROUND = (0, 80)  # its brightness, of 255
_NOISE = 12  # either way, anew in each frame


@dataclass(frozen=True)
class MovingDigit:
    """Film `number` of a part, of class number mod 8: `train` chooses the digits that it may have."""

    train: bool
    number: int
    seed: int = 0

    @property
    def label(self) -> int:
        return self.number % len(CLASSES)

    def frames(self) -> np.ndarray:
        """uint8 ⟨24,32,32,1⟩."""
        draw = np.random.default_rng((self.seed, int(self.train), self.number))
        images = _digits()
        first, n = (0, TRAINED) if self.train else (TRAINED, len(images) - TRAINED)
        digit = images[first + int(draw.integers(n))]
        start, speed = draw.integers(SIDE, size=2), int(draw.integers(1, _FASTEST + 1))
        ground = int(draw.integers(*_GROUND, endpoint=True))
        noise = draw.integers(-_NOISE, _NOISE, (FRAMES, SIDE, SIDE), dtype=np.int16, endpoint=True)
        begins = places(start, CLASSES[self.label], speed)
        rows, columns = ((np.arange(SIDE) - one[:, None]) % SIDE for one in begins.T)
        found = placed(digit, ground)[rows[:, :, None], columns[:, None, :]]
        shown: np.ndarray = np.clip(found + noise, 0, 255).astype(np.uint8)[..., None]
        return shown


def places(start: np.ndarray, way: str, speed: int) -> np.ndarray:
    """Where the digit is in each frame, ⟨24,...,2⟩, as rows and columns of its top left corner, that begins at `start` ⟨...,2⟩."""
    steps = np.arange(FRAMES).reshape(-1, *[1] * start.ndim)
    return np.asarray((start + steps * (speed * np.array(WAYS[way]))) % SIDE)


def placed(digit: np.ndarray, ground: int) -> np.ndarray:
    """A digit at the top left of a field of such brightness, int16 ⟨32,32⟩."""
    field = np.full((SIDE, SIDE), ground, np.int16)
    large = digit.repeat(_TIMES, 0).repeat(_TIMES, 1)
    own = field[: len(large), : len(large)]
    own += ((255 - ground) * large).round().astype(np.int16)
    return field


@cache
def _digits() -> np.ndarray:
    """float64 ⟨1797,8,8⟩ in 0 to 1."""
    from sklearn.datasets import load_digits  # a second to import

    return np.asarray(load_digits().images / 16)
