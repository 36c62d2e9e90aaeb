"""Batch normalisation (Ioffe & Szegedy, 2015) and an activation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Act, Norm
from ...layers import BatchNorm2d
from ...ranges import above, at_least
from ..acts import activation, norm_act

__all__ = ["BatchNorm"]


@final
@dataclass(frozen=True)
class BatchNorm(Norm):
    """y = act(gamma (x - mean) / sqrt(var + eps) + beta), statistics over batch and space, and time.

    `momentum` is torch's: the share of a new batch in the running statistics, 1 minus the papers' decay.
    """

    kind: ClassVar[str] = "batch_norm"
    act: Act = Act.RELU
    eps: float = 1e-5
    momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        above("batch_norm.eps", self.eps, 0, 1)
        at_least("batch_norm.momentum", self.momentum, 0, 1)

    def with_eps(self, eps: float) -> Self:
        return replace(self, eps=eps)

    def build(self, channels: int, *, activate: bool = True, zero: bool = False) -> nn.Module:
        norm = BatchNorm2d(channels, eps=self.eps, momentum=self.momentum)
        return norm_act("bn", norm, self.act, activate=activate, zero=zero)

    def core(self, channels: int) -> tuple[nn.Module, nn.Module]:
        return nn.BatchNorm2d(channels, eps=self.eps, momentum=self.momentum, affine=False), self.activation()

    def activation(self) -> nn.Module:
        return activation(self.act)

    def describe(self) -> str:
        return f"batch norm, {self.act}"
