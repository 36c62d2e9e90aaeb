"""The networks of the EvoNorm paper (Liu et al., 2020): four bases with EvoNorm-B0 or -S0 for normalisation and activation.

ResNet-50 in its pre-activation form, as searched and released. In the others each convolution's batch norm and activation
become one EvoNorm, and the linear projection's batch norm an affine layer: that placement is recalled, not read.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import ArchSpec
from ..parts import EvoNorm, EvoNormKind
from . import mnasnet, mobilenetv2
from .efficientnet import B0
from .resnetv2 import resnetv2

__all__ = ["BASES", "KINDS", "members"]

BASES = (resnetv2(50), mobilenetv2.BASE, B0, mnasnet.B1)
KINDS = (EvoNormKind.B0, EvoNormKind.S0)


def members() -> tuple[ArchSpec, ...]:
    return tuple(
        replace(base.with_style(norm=EvoNorm(variant=kind)), name=f"{base.name}_evo{kind}")
        for base in BASES
        for kind in KINDS
    )
