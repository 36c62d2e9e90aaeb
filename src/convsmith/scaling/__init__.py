"""Scaling: rules that grow or shrink a spec by one number, and the function that turns any rule into an answer to a budget.

A new rule is one frozen dataclass in one file and one line in `RULES`; `fit` and the rule tests then cover it.
"""

from __future__ import annotations

from ..errors import UserError, nearest
from .compound import Compound
from .exponents import Depth, Resolution, Width
from .fit import Fit, fit
from .rule import Rule
from .timed import fit_timed

__all__ = ["RULES", "Compound", "Depth", "Fit", "Resolution", "Rule", "Width", "fit", "fit_timed", "rule"]

RULES: tuple[type[Rule], ...] = (Compound, Depth, Width, Resolution)


def rule(name: str) -> Rule:
    """The rule of that name with its paper's constants."""
    table = {kind.kind: kind for kind in RULES}
    if name not in table:
        raise UserError(f"unknown rule '{name}'; rules are {', '.join(table)}{nearest(name, table)}")
    return table[name]()
