"""Group normalisation (Wu & He, 2018) and an activation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Act, Norm
from ...layers import GroupNorm2d
from ...ranges import above, at_least
from ..acts import activation, norm_act

__all__ = ["FEWEST", "GroupNorm"]

FEWEST = 8  # channels of a group that may be all that there is of a map: as many as 256 channels in 32 groups have


@final
@dataclass(frozen=True)
class GroupNorm(Norm):
    """y = act(gamma (x - mean) / sqrt(var + eps) + beta), statistics per image over each group of channels.

    `groups` is a wish: widths that it does not divide take their largest divisor below it, since a scaled or searched
    width is rarely a multiple of 32.
    """

    kind: ClassVar[str] = "group_norm"
    act: Act = Act.RELU
    groups: int = 32
    eps: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("group_norm.groups", self.groups, 1)
        above("group_norm.eps", self.eps, 0, 1)

    def with_eps(self, eps: float) -> Self:
        return replace(self, eps=eps)

    def for_pixels(self, channels: int) -> Self:
        return replace(self, groups=max(1, min(self.groups, channels // FEWEST)))

    def build(self, channels: int, *, activate: bool = True, zero: bool = False) -> nn.Module:
        norm = GroupNorm2d(self._groups(channels), channels, eps=self.eps)
        return norm_act("gn", norm, self.act, activate=activate, zero=zero)

    def core(self, channels: int) -> tuple[nn.Module, nn.Module]:
        return GroupNorm2d(self._groups(channels), channels, eps=self.eps, affine=False), self.activation()

    def _groups(self, channels: int) -> int:
        return next(count for count in range(min(self.groups, channels), 0, -1) if channels % count == 0)

    def activation(self) -> nn.Module:
        return activation(self.act)

    def describe(self) -> str:
        return f"group norm ({self.groups}), {self.act}"
