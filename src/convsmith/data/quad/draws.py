"""What makes one individual look otherwise than another: named factors, each drawn by an address of its own."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

__all__ = ["Draw", "Identity"]


@dataclass(frozen=True)
class Identity:
    """An animal that walks through a scene: for each factor, the number of the individual that it is drawn for.

    `Identity.of(k)` is individual k, in which all factors change together. A shift of one factor alone is a `replace` of it:
    `replace(Identity.of(3), coat=17)` is individual 3 in the coat of individual 17.
    """

    size: int
    build: int  # proportions of trunk, legs, neck, girth, head
    coat: int  # its colour, socks, blaze, patches, mane
    scene: int  # sky, ground, horizon, and what stands there
    light: int  # gain, noise, blur, shadow
    walk: int  # pace, where it begins, and the noise of each frame

    @classmethod
    def of(cls, individual: int) -> Identity:
        return cls(*[individual] * 6)


@dataclass(frozen=True)
class Draw:
    """The numbers of one factor: each by its name alone, whatever was drawn before it."""

    seed: int
    factor: str
    individual: int

    def generator(self, name: str, frame: int = 0) -> np.random.Generator:
        words = (zlib.crc32(self.factor.encode()), zlib.crc32(name.encode()))
        return np.random.default_rng((self.seed, self.individual, frame, *words))

    def between(self, name: str, low: float, high: float) -> float:
        return low + (high - low) * _number(self, name)

    def chance(self, name: str, share: float) -> bool:
        return _number(self, name) < share

    def whole(self, name: str, low: int, high: int) -> int:
        """From `low` to `high`, both among them."""
        return low + int(_number(self, name) * (high - low + 1))


@lru_cache(maxsize=8192)  # a frame asks for some twenty, which are those of the frame before
def _number(draw: Draw, name: str) -> float:
    """In [0, 1)."""
    return float(draw.generator(name).random())
