"""No normalisation: an activation, and the gain that keeps the variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ...arch import Act, Norm
from ...layers import Gained
from ..acts import activation
from ..gains import RELEASED

__all__ = ["NoNorm"]


@final
@dataclass(frozen=True)
class NoNorm(Norm):
    """y = gamma act(x), with gamma 1 unless `gain`: for networks whose convolutions keep the variance themselves.

    There is no scale that `zero` could start at 0: such networks start their branches at 0 by SkipInit.
    """

    kind: ClassVar[str] = "no_norm"
    act: Act = Act.RELU
    gain: bool = False

    def build(self, channels: int, *, activate: bool = True, zero: bool = False) -> nn.Module:
        return self.activation() if activate else nn.Identity()

    def core(self, channels: int) -> tuple[nn.Module, nn.Module]:
        return nn.Identity(), self.activation()

    def activation(self) -> nn.Module:
        return Gained(activation(self.act), self.factor) if self.gain else activation(self.act)

    @property
    def factor(self) -> float:
        """What follows the activation."""
        return RELEASED[self.act] if self.gain else 1.0

    def describe(self) -> str:
        return f"no norm, {self.act}" + (" with its gain" if self.gain else "")
