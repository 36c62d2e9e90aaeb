"""The learning rate of every step."""

from __future__ import annotations

import math

__all__ = ["rate_at"]


def rate_at(step: int, *, steps: int, warmup: int, peak: float) -> float:
    """Linear from peak / warmup over the first `warmup` steps, then half a cosine that would reach 0 at `steps`.

    >>> [round(rate_at(step, steps=6, warmup=2, peak=1.0), 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
