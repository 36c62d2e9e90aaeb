"""How the children of a supernet are trained together: what a step is made of. Of a network alone nothing of it is read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from ..ranges import at_least, check_numbers

__all__ = ["Aggregation", "Drawn", "SandwichRule", "Teacher"]

_MOST = 64  # drawn children of a step: beyond is a slip of the hand


class Drawn(StrEnum):
    """Over what a step's children are drawn evenly: their `genes`, or the logarithm of their `cost` in multiply-adds."""

    GENES = "genes"
    COST = "cost"


class Teacher(StrEnum):
    """Whose outputs children learn from: those of the `biggest` in the same pass, or of the moving `average` of its weights."""

    BIGGEST = "biggest"
    AVERAGE = "average"


class Aggregation(StrEnum):
    """What a step takes of its children's gradients: the `sum`, or the `mean`."""

    SUM = "sum"
    MEAN = "mean"


@final
@dataclass(frozen=True)
class SandwichRule:
    """A step of a supernet: the biggest child, `randoms` drawn ones and the smallest (Yu & Huang, 2019). The defaults are
    BigNAS's (Yu et al., 2020).

    For the share `first` of the steps the biggest is trained alone, from labels; the sandwich goes on with its weights, as
    Once-for-all orders it (Cai et al., 2020). After it a child's loss is

        labels x its own towards the answers  +  (1 - labels) x that towards its `teacher`

    which is the biggest's own pass, or an extra one of the recipe's moving average, undropped. `drawn` says over what children
    are drawn evenly. BigNAS draws genes evenly, and then children near both ends of the cost hardly occur. The `mean` of
    gradients is the step of a rate as many times smaller; under it the recipe's weight decay weighs as many times more.
    """

    randoms: int = 2
    first: float = 0.0
    labels: float = 0.0
    teacher: Teacher = Teacher.BIGGEST
    drawn: Drawn = Drawn.GENES
    gradients: Aggregation = Aggregation.SUM

    def __post_init__(self) -> None:
        check_numbers(self, "sandwich")
        at_least("sandwich.randoms", self.randoms, 0, _MOST)
        at_least("sandwich.first", self.first, 0, 1)
        at_least("sandwich.labels", self.labels, 0, 1)
