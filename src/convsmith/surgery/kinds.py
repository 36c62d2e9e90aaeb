"""The norms that a network may be converted to, by name."""

from __future__ import annotations

from typing import Literal, get_args

from ..arch import Act, Norm
from ..parts import BatchNorm, EvoNorm, GroupNorm
from ..parts.norms.evonorm import EvoNormKind

__all__ = ["NORMS", "NormName", "norm_of"]

NormName = Literal["nf", "evonorm-s0", "evonorm-b0", "group", "batch"]
NORMS: tuple[NormName, ...] = get_args(NormName)


def norm_of(name: NormName, act: Act) -> Norm | None:
    """The norm that `name` means with `act` after it; EvoNorm brings its own nonlinearity, and `nf` has no norm."""
    match name:
        case "batch":
            return BatchNorm(act=act)
        case "group":
            return GroupNorm(act=act)
        case "evonorm-s0":
            return EvoNorm()
        case "evonorm-b0":
            return EvoNorm(variant=EvoNormKind.B0)
        case "nf":
            return None
