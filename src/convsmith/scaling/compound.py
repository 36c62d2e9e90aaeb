"""EfficientNet's compound rule (Tan & Le, 2019, eq. 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ..arch import ArchSpec, grown
from ..ranges import at_least
from ..units import Rounding
from .rule import Rule

__all__ = ["Compound"]


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
