"""EfficientNet's compound rule (Tan & Le, 2019, eq. 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ..arch import ArchSpec, grown
from ..ranges import at_least
from ..units import RoundDepth, Rounding
from .rule import Rule

__all__ = ["Compound", "CompoundClips"]


@final
@dataclass(frozen=True)
class Compound(Rule):
    """One number, phi, grows depth, width and resolution together:

        d = alpha ** phi,  w = beta ** phi,  r = gamma ** phi,  alpha * beta**2 * gamma**2 ~ 2

    MACs then grow about 2 ** phi; rounding repeats up makes it more at first (2.57 at phi = 1). The defaults are the
    ones found for EfficientNet-B0 on ImageNet, whose product is 1.92. A negative phi shrinks.
    """

    kind: ClassVar[str] = "compound"
    neutral: ClassVar[float] = 0.0
    least: ClassVar[float] = -24.0
    most: ClassVar[float] = 20.0

    alpha: float = 1.2
    beta: float = 1.1
    gamma: float = 1.15
    rounding: Rounding = Rounding()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "beta", "gamma"):
            at_least(f"{self.kind}.{name}", getattr(self, name), 1, 2)

    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        depth, width, resolution = self.alpha**x, self.beta**x, self.gamma**x
        return grown(base, depth=depth, width=width, resolution=resolution, rounding=self.rounding)

    def describe(self, x: float) -> str:
        return f"phi {x:.3f}: depth x{self.alpha**x:.3f}, width x{self.beta**x:.3f}, resolution x{self.gamma**x:.3f}"


@final
@dataclass(frozen=True)
class CompoundClips(Rule):
    """Compound scaling with time as a fourth dimension: phi grows depth, width, resolution and frames together,

        d = alpha ** phi,  w = beta ** phi,  r = gamma ** phi,  f = eta ** phi,  alpha * beta**2 * gamma**2 * eta = 2

    No paper gives these constants. The choice here is that each of the four takes an equal share of every doubling of the
    cost: depth and frames, which it grows with, 2 ** (1/4), width and resolution, with whose square it grows, 2 ** (1/8).
    """

    kind: ClassVar[str] = "compound-clips"
    neutral: ClassVar[float] = 0.0
    least: ClassVar[float] = -24.0
    most: ClassVar[float] = 20.0

    alpha: float = 2 ** (1 / 4)
    beta: float = 2 ** (1 / 8)
    gamma: float = 2 ** (1 / 8)
    eta: float = 2 ** (1 / 4)
    rounding: Rounding = Rounding(depth=RoundDepth.NEAREST)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "beta", "gamma", "eta"):
            at_least(f"{self.kind}.{name}", getattr(self, name), 1, 2)

    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        depth, width, resolution, frames = self.alpha**x, self.beta**x, self.gamma**x, self.eta**x
        return grown(base, depth=depth, width=width, resolution=resolution, frames=frames, rounding=self.rounding)

    def describe(self, x: float) -> str:
        sides = f"resolution x{self.gamma**x:.3f}, frames x{self.eta**x:.3f}"
        return f"phi {x:.3f}: depth x{self.alpha**x:.3f}, width x{self.beta**x:.3f}, {sides}"
