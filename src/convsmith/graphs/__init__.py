"""Layers that normalise and activate, as graphs of primitives: values without torch."""

from __future__ import annotations

from .draw import B_SPACE, GENES, S_SPACE, drawn, mutated
from .expression import Expression, Op, Over
from .formula import equation, formula, latex, read
from .genome import Gene, NormGraph
from .known import KNOWN

__all__ = [
    "B_SPACE",
    "GENES",
    "KNOWN",
    "S_SPACE",
    "Expression",
    "Gene",
    "NormGraph",
    "Op",
    "Over",
    "drawn",
    "equation",
    "formula",
    "latex",
    "mutated",
    "read",
]
