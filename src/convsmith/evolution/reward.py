"""Accuracy and cost as one number."""

from __future__ import annotations

from ..errors import UserError

__all__ = ["reward"]


def reward(accuracy: float, cost: float, target: float, *, below: float = -0.07, above: float = -0.07) -> float:
    """MnasNet's product, which EfficientNet's search used with multiply-adds (Tan et al., 2019; Tan and Le, 2019):

        accuracy * (cost / target) ** w,    w = below where cost <= target, else above

    -0.07 on both sides is the soft form: twice the cost must buy 5 % of the accuracy, as 1.05 * 2**-0.07 is about 1. With
    below=0 and above=-1 what is within the target counts by its accuracy alone.

    >>> round(reward(0.80 * 1.05, 200, 100) / reward(0.80, 100, 100), 2)
    1.0
    """
    if cost <= 0 or target <= 0:
        raise UserError(f"a reward needs a cost and a target above 0; got {cost:g} and {target:g}")
    return accuracy * float((cost / target) ** (below if cost <= target else above))
