"""The learning rate of every step."""

from __future__ import annotations

from ..recipe import Cosine, Schedule

__all__ = ["rate_at"]


def rate_at(
    step: int, *, steps: int, warmup: int, peak: float, schedule: Schedule | None = None, per_epoch: int = 1
) -> float:
    """Linear from peak / warmup over the first `warmup` steps, then `peak` times the schedule's share (a cosine's).

    The first step is not thrown away on a rate of 0, as in TensorFlow's trainers: the line reaches the peak at its last
    step, one step before theirs.

    >>> [round(rate_at(step, steps=6, warmup=2, peak=1.0), 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (schedule or Cosine()).share(step, steps=steps, warmup=warmup, per_epoch=per_epoch)
