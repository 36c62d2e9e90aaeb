"""ResNet-RS's strategies (Bello et al., 2021, section 6): how long one trains says what to grow; resolution grows slowly."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, final

from ..arch import ArchSpec, grown
from ..ranges import at_least
from ..units import RoundDepth, Rounding
from .rule import Rule

__all__ = ["Regime", "ResNetRS", "regime"]

IMAGENET = 1_281_167


class Regime(StrEnum):
    """Whether a training is long enough to overfit."""

    LONG = "long"  # depth beats width, at every resolution that the paper tried
    SHORT = "short"  # width beats depth


def regime(epochs: float, images: int = IMAGENET) -> Regime:
    """Which of the two a training of so many epochs on so many images is in.

    The paper, on ImageNet: at 350 epochs depth wins, at 10 width, at 100 it depends on the resolution. The border is put
    at 59 epochs here, the geometric mean of 10 and 350. The paper does not vary the number of images; as fewer are learnt
    by heart sooner, epochs count sqrt(1,281,167 / images) times here, which is our convention and not a result.

    >>> str(regime(350)), str(regime(10)), str(regime(30, images=50_000))
    ('long', 'short', 'long')
    """
    felt = epochs * math.sqrt(max(IMAGENET / images, 1.0))
    return Regime.LONG if felt >= math.sqrt(10 * 350) else Regime.SHORT


@final
@dataclass(frozen=True)
class ResNetRS(Rule):
    """x counts doublings of the cost, roughly:

        r = 2 ** (0.20 x),  and in the long regime  d = 2 ** (0.83 x) for all stages but the first and last, 2 ** (0.07 x) for these
                            or in the short regime  w = 2 ** (0.30 x)

    The exponents of r and d are least-squares fits, through the base, to the eleven published pairs of depth and
    resolution against the doublings of their counted multiply-adds; the paper gives the pairs and no formula. That of w
    leaves the cost to double with x. The paper calls its growth of resolution slower than compound scaling's: 160 to 320
    against 224 to 600. Per doubling of multiply-adds the two are close, 2 ** 0.20 and 2 ** 0.215.
    """

    kind: ClassVar[str] = "resnet-rs"
    neutral: ClassVar[float] = 0.0
    least: ClassVar[float] = -24.0
    most: ClassVar[float] = 9.0

    regime: Regime = Regime.LONG
    resolution: float = 0.20
    middle: float = 0.83
    outer: float = 0.07
    width: float = 0.30
    rounding: Rounding = Rounding(depth=RoundDepth.NEAREST)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("resolution", "middle", "outer", "width"):
            at_least(f"{self.kind}.{name}", getattr(self, name), 0, 2)

    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        r = 2 ** (self.resolution * x)
        if self.regime is Regime.SHORT:
            return grown(base, width=2 ** (self.width * x), resolution=r, rounding=self.rounding)
        last = len(base.stages) - 1
        # A network of one or two stages has no middle; then all of it grows.
        ends = {0, last} if last > 1 else set()
        depths = (2 ** ((self.outer if at in ends else self.middle) * x) for at in range(last + 1))
        stages = tuple(
            replace(stage, depth=self.rounding.repeats(stage.depth * depth))
            for stage, depth in zip(base.stages, depths, strict=True)
        )
        return grown(replace(base, stages=stages), resolution=r, rounding=self.rounding)

    def describe(self, x: float) -> str:
        sides = f"resolution x{2 ** (self.resolution * x):.3f}"
        if self.regime is Regime.SHORT:
            return f"x {x:.3f}, short training: width x{2 ** (self.width * x):.3f}, {sides}"
        depth = f"depth x{2 ** (self.middle * x):.3f} (first and last stage x{2 ** (self.outer * x):.3f})"
        return f"x {x:.3f}, long training: {depth}, {sides}"
