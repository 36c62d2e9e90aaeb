"""TinyNet's formula (Han et al., 2020): resolution and depth by curves through a Pareto front, width solved for what is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from ..arch import ArchSpec, grown
from ..units import RoundDepth, Rounding
from .front import Point, fronts
from .gaussian import Curve
from .rule import Rule

__all__ = ["PUBLISHED", "ROUNDING", "Tiny", "width_formula", "width_solve"]

ROUNDING = Rounding(depth=RoundDepth.NEAREST, resolution_down=True, keep_stem=True, keep_head=True)

# TinyNet-A to -E as released: r, d, w, multiply-adds as a share of B0's (counted, not as published), top-1 of the paper.
# fmt: off
PUBLISHED = (
    Point(0.86,  1.2,   1.00, 336_867_712 / 385_814_752, 0.768),
    Point(0.84,  1.1,   0.75, 200_709_360 / 385_814_752, 0.750),
    Point(0.825, 0.85,  0.54,  99_536_432 / 385_814_752, 0.712),
    Point(0.68,  0.695, 0.54,  51_580_656 / 385_814_752, 0.670),
    Point(0.475, 0.60,  0.51,  24_356_848 / 385_814_752, 0.599),
)
# fmt: on

_NARROWEST, _WIDEST = 1 / 64, 64.0


@final
@dataclass(frozen=True)
class Tiny(Rule):
    """x = c is the share of the base's multiply-adds that a member may cost, at most 1:

        r = f_r(c),  d = f_d(c),  w = the largest that keeps the cost within c

    f_r and f_d are Gaussian processes over ln c, of ln r and ln d around a straight line, so that they stay above 0 and
    follow powers of c beyond their points. The paper writes w = sqrt(c / (d r^2)); that overshoots the cost of small
    members by 40 to 63 %, so w is solved on the exact count here, as the published widths themselves are
    (`width_formula`, `width_solve`). At c = 1 the base is its own answer.

    The default curves pass through the released TinyNet-A to -E; `Tiny.of` makes them from one's own runs.
    """

    kind: ClassVar[str] = "tiny"
    neutral: ClassVar[float] = 1.0
    least: ClassVar[float] = 1e-5
    most: ClassVar[float] = 1.0
    solves: ClassVar[bool] = True

    resolution: Curve | None = None
    depth: Curve | None = None
    rounding: Rounding = ROUNDING

    @staticmethod
    def of(points: Sequence[Point], *, share: float = 1.0, noise: float | None = None) -> Tiny:
        """The formula fitted to the best `share` of the points, front by front; the paper's share is not known to us."""
        kept = fronts([point.share for point in points], [point.accuracy for point in points], share)
        best = [points[i] for i in kept]
        x = [math.log(point.share) for point in best]
        resolution = Curve.fitted(x, [math.log(point.resolution) for point in best], noise=noise)
        return Tiny(resolution, Curve.fitted(x, [math.log(point.depth) for point in best], noise=noise))

    def factors(self, c: float) -> tuple[float, float]:
        """r and d at the share c."""
        resolution, depth = self.resolution or _RESOLUTION, self.depth or _DEPTH
        return math.exp(resolution.at(math.log(c))[0]), math.exp(depth.at(math.log(c))[0])

    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        if x == self.neutral:
            return base
        from ..costs import cost  # here, because it is built of torch, which naming a rule needs not

        resolution, depth = self.factors(x)
        return width_solve(base, x * cost(base).macs, depth=depth, resolution=resolution, rounding=self.rounding)[0]

    def describe(self, x: float) -> str:
        if x == self.neutral:
            return "c 1: the base itself"
        resolution, depth = self.factors(x)
        return f"c {x:.3g}: depth x{depth:.3f}, resolution x{resolution:.3f}, width solved for the rest"


def width_formula(c: float, *, depth: float, resolution: float) -> float:
    """The paper's w = sqrt(c / (d r^2)), which holds near c = 1 only.

    >>> round(width_formula(0.876, depth=1.2, resolution=0.86), 3)
    0.993
    """
    return math.sqrt(c / (depth * resolution**2))


def width_solve(
    base: ArchSpec, macs: float, *, depth: float, resolution: float, rounding: Rounding = ROUNDING
) -> tuple[ArchSpec, float]:
    """The widest member of `base` at that depth and resolution whose exact cost is within `macs`, and its width.

    Where even the narrowest costs more, that one: what it costs is for the caller to judge.
    """
    from ..costs import cost  # here, because it is built of torch, which naming a rule needs not

    shape = grown(base, depth=depth, resolution=resolution, rounding=rounding)

    def at(width: float) -> ArchSpec:
        return grown(shape, width=width, rounding=rounding)

    low, high = _NARROWEST, _WIDEST
    allowed = macs * (1 + 1e-9)  # a share times a count must not lose the member whose share it is
    # Widths grow by steps of `width_to` channels; a thousandth of the width is finer than any step of a real network.
    while high / low > 1.0005:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if cost(at(middle)).macs <= allowed else (low, middle)
    return at(low), low


def _curve(y: tuple[float, ...], length: float, signal: float) -> Curve:
    """A curve through the published points; `Tiny.of(PUBLISHED, noise=1e-6)` finds these hyperparameters in seconds."""
    x = tuple(math.log(point.share) for point in PUBLISHED)
    center, mean = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - center) * b for a, b in zip(x, y, strict=True)) / sum((a - center) ** 2 for a in x)
    return Curve(x, y, mean - slope * center, slope, length, signal, 1e-6)


_RESOLUTION = _curve(tuple(math.log(point.resolution) for point in PUBLISHED), 0.985, 0.143)
_DEPTH = _curve(tuple(math.log(point.depth) for point in PUBLISHED), 0.5, 0.0408)
