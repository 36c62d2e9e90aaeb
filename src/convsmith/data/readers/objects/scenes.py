"""`digit-scenes`: pictures of several handwritten digits, which are drawn."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...scenes.drawn import Scenes, objects_of
from ...scenes.scene import CLASSES
from ...split import Split
from ..parts import Part, Parts

__all__ = ["DIGIT_SCENES", "read_scenes"]

DIGIT_SCENES = "digit-scenes"
TRAINED, VALIDATED = 1200, 200


def read_scenes() -> Parts:
    """1,200 scenes an epoch to train on, of the first 1,200 digits, and 200 to validate on, of the other 597: the same ones
    wherever they are drawn."""
    return {
        "train": partial(_part, True, TRAINED, ""),
        "val": partial(_part, False, VALIDATED, f"the {VALIDATED} scenes of digits that no training scene has"),
    }


def _part(train: bool, n: int, said: str) -> Part:
    scenes = Scenes(train, np.arange(n))
    return Part(Split(scenes, objects_of(scenes)), CLASSES, said)
