"""What a scaling rule is."""

from __future__ import annotations

import abc
import re
from dataclasses import dataclass
from typing import ClassVar

from ..arch import ArchSpec
from ..ranges import check_numbers

__all__ = ["Rule", "offspring"]


def offspring(base: ArchSpec, *marks: str) -> str:
    """The name of a network made from `base`: letters, digits, `_`, `-` and `.`, which a shell, an address and a table hold.

    >>> import convsmith as cs
    >>> offspring(cs.spec("resnet18"), "compound0.37")
    'resnet18-compound0.37'
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join((base.name, *marks)))


@dataclass(frozen=True)
class Rule(abc.ABC):
    """A pure function (spec, x) -> spec on the line that leads through the base at `neutral`.

    Cost never falls as x grows from `least` to `most`, except that a rule which solves for a budget (`solves`) fills it
    as far as its stairs allow. Rounding turns the line into a staircase; a rule carries its
    rounding, because papers differ in it.
    """

    kind: ClassVar[str]
    neutral: ClassVar[float]
    least: ClassVar[float]
    most: ClassVar[float]
    solves: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_numbers(self, self.kind)

    @abc.abstractmethod
    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        """The member of `base`'s line at x."""

    @abc.abstractmethod
    def describe(self, x: float) -> str:
        """The factors at x, in the paper's letters: `phi 1.04: depth x1.21, width x1.10, resolution x1.16`."""
