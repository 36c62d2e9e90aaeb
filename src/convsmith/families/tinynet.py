"""TinyNet (Han et al., 2020): EfficientNet-B0 shrunk, mostly in resolution and depth, by a formula fitted to a Pareto front.

The released (r, d, w) are a table. The rules differ from EfficientNet's: repeats go to the nearest integer, the stem keeps
its 32 channels, the head's convolution at least 1280, and the side is floor(224 r). Batch norm keeps its framework's
epsilon of 1e-5 (the authors' MindSpore release and timm agree).

The paper's GhostNet-A (79.4 % at 591 M) is not here: its configuration was never released.
"""

from __future__ import annotations

from dataclasses import replace
from math import floor

from ..arch import Act, ArchSpec, grown
from ..parts import BatchNorm
from ..units import RoundDepth, Rounding
from .efficientnet import B0

__all__ = ["ROUNDING", "SIZES", "members"]

ROUNDING = Rounding(depth=RoundDepth.NEAREST, keep_stem=True, least_head=1280)

# fmt: off
#  size  r       d      w     drop path
SIZES: dict[str, tuple[float, float, float, float]] = {
    "a": (0.86,  1.2,   1.0,  0.0),
    "b": (0.84,  1.1,   0.75, 0.1),
    "c": (0.825, 0.85,  0.54, 0.0),
    "d": (0.68,  0.695, 0.54, 0.0),
    "e": (0.475, 0.60,  0.51, 0.0),
}
# fmt: on


def member(size: str) -> ArchSpec:
    """TinyNet-A to -E."""
    resolution, depth, width, drop_path = SIZES[size]
    spec = grown(B0, depth=depth, width=width, rounding=ROUNDING)
    # Width 1.0 leaves B0's numbers alone; 224 * 0.825 is 184.8, and the authors round down.
    spec = spec.with_resolution(floor(B0.input.resolution * resolution + 1e-9))
    spec = spec.with_style(norm=BatchNorm(act=Act.SILU), drop_path=drop_path)
    return replace(spec, name=f"tinynet_{size}")


def members() -> tuple[ArchSpec, ...]:
    return tuple(member(size) for size in SIZES)
