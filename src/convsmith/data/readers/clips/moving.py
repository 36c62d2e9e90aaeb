"""`moving-digits`: films of a handwritten digit that moves in one of eight ways, which are drawn."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...moving.drawn import Moving, ways_of
from ...moving.film import CLASSES
from ...split import Split
from ..parts import Part, Parts

__all__ = ["MOVING_DIGITS", "read_moving"]

MOVING_DIGITS = "moving-digits"
TRAINED, VALIDATED = 1600, 400


def read_moving() -> Parts:
    """1,600 films to train on, of the first 1,200 digits, and 400 to validate on, of the other 597: as many of each class, and the
    same ones wherever they are drawn."""
    return {
        "train": partial(_part, True, TRAINED, ""),
        "val": partial(_part, False, VALIDATED, f"the {VALIDATED} films of digits that no training film has"),
    }


def _part(train: bool, n: int, said: str) -> Part:
    films = Moving(train, np.arange(n))
    return Part(Split(films, ways_of(films)), CLASSES, said)
