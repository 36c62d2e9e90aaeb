"""The compound rule run backwards: EfficientNet-B^-1 and smaller, which the tiny formula is compared with (Han et al., 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ..arch import ArchSpec
from ..units import RoundDepth, Rounding
from .compound import Compound
from .rule import Rule

__all__ = ["InverseCompound"]


@final
@dataclass(frozen=True)
class InverseCompound(Rule):
    """x = -phi of the compound rule, below 0: `d = 1.2**x, w = 1.1**x, r = 1.15**x` ("the giant formula" backwards).

    Repeats go to the nearest integer: rounded up, whole phi cost 301, 177, 107 and 46 M multiply-adds from B0, where the
    TinyNet paper has its B^-1 to B^-4 at 201, 98, 51 and 24 M. So phi is real and the superscript only a rank; this
    reading is a reconstruction.
    """

    kind: ClassVar[str] = "inverse-compound"
    neutral: ClassVar[float] = 0.0
    least: ClassVar[float] = -24.0
    most: ClassVar[float] = 0.0

    forwards: Compound = Compound(rounding=Rounding(depth=RoundDepth.NEAREST))

    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        return self.forwards(base, x)

    def describe(self, x: float) -> str:
        return self.forwards.describe(x)
