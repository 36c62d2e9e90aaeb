"""The two numbers of a signal propagation plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Moments", "moments"]


@dataclass(frozen=True, slots=True)
class Moments:
    """A map's average channel variance, `mean_c var_nhw(x)`, and average channel squared mean, `mean_c (mean_nhw x)^2`.

    Their sum is the mean square, so a mean shift is energy that moves from the first to the second (Brock et al., 2021).
    """

    var: float
    sqmean: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.var) and math.isfinite(self.sqmean)

    @property
    def shift(self) -> float:
        """The share of the energy that is in the channels' means."""
        energy = self.var + self.sqmean
        return self.sqmean / energy if energy > 0 else 0.0

    @staticmethod
    def average(each: Sequence[Moments]) -> Moments:
        return Moments(sum(one.var for one in each) / len(each), sum(one.sqmean for one in each) / len(each))


def moments(x: Tensor) -> Moments:
    """Of a map ⟨N,C,...⟩, in float32 at least; the variance is the population's, as in the authors' code."""
    wide = x if x.dtype is torch.float64 else x.float()
    rest = [axis for axis in range(x.ndim) if axis != 1]
    var, mean = torch.var_mean(wide, dim=rest, correction=0)
    return Moments(float(var.mean()), float(mean.square().mean()))
