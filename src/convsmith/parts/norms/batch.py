"""Batch normalisation (Ioffe & Szegedy, 2015) and an activation."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ...arch import Act, Norm
from ..acts import activation

__all__ = ["BatchNorm"]


@final
@dataclass(frozen=True)
class BatchNorm(Norm):
    """y = act(gamma (x - mean) / sqrt(var + eps) + beta), statistics over batch and space.

    `momentum` is torch's: the share of a new batch in the running statistics, 1 minus the papers' decay.
    """

    kind: ClassVar[str] = "batch_norm"
    act: Act = Act.RELU
    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int, *, activate: bool = True, zero: bool = False) -> nn.Module:
        norm = nn.BatchNorm2d(channels, eps=self.eps, momentum=self.momentum)
        if zero:
            nn.init.zeros_(norm.weight)
        parts: OrderedDict[str, nn.Module] = OrderedDict(bn=norm)
        if activate and self.act is not Act.NONE:
            parts["act"] = activation(self.act)
        return nn.Sequential(parts)

    def activation(self) -> nn.Module:
        return activation(self.act)

    def describe(self) -> str:
        return f"batch norm, {self.act}"
