"""Squeeze-and-excitation as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ..arch import Act, Part
from ..layers import SqueezeExcite
from .acts import activation

__all__ = ["SE"]


@final
@dataclass(frozen=True)
class SE(Part):
    """Squeeze-and-excitation to `ratio` of a width that the block names (EfficientNet: the block's input)."""

    kind: ClassVar[str] = "se"
    ratio: float = 0.25
    act: Act = Act.SILU

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise ValueError(f"se.ratio must be in (0, 1]; got {self.ratio}")

    def build(self, channels: int, *, of: int) -> nn.Module:
        """A gate on `channels` maps whose squeezed width is `ratio` of `of`, rounded down, at least 1."""
        reduced = max(1, int(of * self.ratio))
        return SqueezeExcite(channels, reduced, act=activation(self.act), gate=nn.Sigmoid())

    def describe(self) -> str:
        return f"se{self.ratio:g}"
