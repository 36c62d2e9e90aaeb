"""EvoNorm (Liu et al., 2020): normalisation and activation found by search as one layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Norm
from ...layers import Affine2d, EvoNormB, EvoNormKind, EvoNormS
from ...ranges import above, at_least
from .group import FEWEST

__all__ = ["EvoNorm", "EvoNormKind", "EvoNormLinear"]


class EvoNormLinear(StrEnum):
    """What the layer is where nothing is activated, as at the end of a residual branch.

    affine: gamma x + beta, without statistics, as the paper and its code have it. divide: gamma x / std + beta, for the
    S layers only, as timm's `a` variants have it; prefer it where training is unstable.
    """

    AFFINE = "affine"
    DIVIDE = "divide"


@final
@dataclass(frozen=True)
class EvoNorm(Norm):
    """y = gamma c(x) + beta with the core c of `variant`; `layers.evonorm` has the equations.

    `groups` (S layers) is a wish: widths that it does not divide take their largest divisor below it, as in the released
    code. `momentum` (B layers) is torch's: the share of a new batch in the running variance, 1 minus the paper's decay.
    The released code uses these layers in pre-activation networks only; elsewhere they are affine where a batch norm was
    linear, and a ReLU follows the sum.

    Raises:
        ValueError: fewer than one group, or a B layer that is to divide without activating.
    """

    kind: ClassVar[str] = "evonorm"
    variant: EvoNormKind = EvoNormKind.S0
    groups: int = 32
    eps: float = 1e-5
    momentum: float = 0.1
    linear: EvoNormLinear = EvoNormLinear.AFFINE

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("evonorm.groups", self.groups, 1)
        above("evonorm.eps", self.eps, 0, 1)
        at_least("evonorm.momentum", self.momentum, 0, 1)
        if self.variant.batch and self.linear is EvoNormLinear.DIVIDE:
            raise ValueError(f"evonorm.linear may be divide for s0, s1 and s2; got it with {self.variant}")

    def with_eps(self, eps: float) -> Self:
        return replace(self, eps=eps)

    def for_pixels(self, channels: int) -> Self:
        return replace(self, groups=max(1, min(self.groups, channels // FEWEST)))

    def build(self, channels: int, *, activate: bool = True, zero: bool = False) -> nn.Module:
        norm = self._layer(channels, activate=activate)
        if zero:
            nn.init.zeros_(norm.get_parameter("weight"))
        return norm

    def core(self, channels: int) -> tuple[nn.Module, nn.Module]:
        return self._layer(channels, activate=True, affine=False), nn.Identity()

    def _layer(self, channels: int, *, activate: bool, affine: bool = True) -> nn.Module:
        if not activate and self.linear is EvoNormLinear.AFFINE:
            return Affine2d(channels)
        if self.variant.batch:
            return EvoNormB(self.variant, channels, eps=self.eps, momentum=self.momentum, affine=affine)
        groups = next(count for count in range(min(self.groups, channels), 0, -1) if channels % count == 0)
        return EvoNormS(self.variant, channels, groups=groups, eps=self.eps, gated=activate, affine=affine)

    def activation(self) -> nn.Module:
        return nn.ReLU(inplace=True)

    def describe(self) -> str:
        return f"EvoNorm-{self.variant.upper()}"
