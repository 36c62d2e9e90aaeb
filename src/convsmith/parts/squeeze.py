"""Squeeze-and-excitation as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ..arch import Act, Part
from ..layers import SqueezeExcite
from ..ranges import above, at_least
from ..units import Rounding
from .acts import activation

__all__ = ["SE"]


@final
@dataclass(frozen=True)
class SE(Part):
    """Squeeze-and-excitation to `ratio` of a width that the block names (EfficientNet: the block's input).

    The squeezed width is rounded down, or with a `divisor` above 1 to its nearest multiple (GhostNet: 4). `gain` multiplies
    what is gated (normaliser-free networks: 2).
    """

    kind: ClassVar[str] = "se"
    ratio: float = 0.25
    act: Act = Act.SILU
    gate: Act = Act.SIGMOID
    divisor: int = 1
    gain: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        above("se.ratio", self.ratio, 0, 1)
        at_least("se.divisor", self.divisor, 1)
        above("se.gain", self.gain, 0)

    def build(self, channels: int, *, of: int) -> nn.Module:
        """A gate on `channels` maps whose squeezed width is `ratio` of `of`, at least 1."""
        wish = of * self.ratio
        reduced = max(1, int(wish)) if self.divisor == 1 else Rounding(width_to=self.divisor).width(wish)
        return SqueezeExcite(channels, reduced, act=activation(self.act), gate=activation(self.gate), gain=self.gain)

    def describe(self) -> str:
        return f"se{self.ratio:g}"
