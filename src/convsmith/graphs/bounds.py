"""How small a value can get: where a guard can never fire, it need not stand."""

from __future__ import annotations

import math

from .expression import Expression, Op

__all__ = ["DELTA", "least"]

DELTA = 1e-6  # what a guard keeps denominators, and what roots and logarithms are taken of, away from 0 by


def least(node: Expression, eps: float) -> float:
    """A bound that the value is never below, where the moments' epsilon is `eps`: root mean squares and deviations are at
    least its root, a maximum its larger bound, a sum of bounded values the sum. -inf where nothing is known."""
    if node.op in (Op.RMS, Op.STD):
        return math.sqrt(eps)
    bounds = [least(arg, eps) for arg in node.args] if node.op in (Op.ADD, Op.MAX, Op.MEAN) else []
    if node.op is Op.MAX:
        return max(bounds)
    if bounds:
        return sum(bounds)  # a mean's one
    return 0.0 if node.positive else -math.inf
