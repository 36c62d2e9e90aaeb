"""Pre-activation ResNets (He et al., 2016b), the form in which EvoNorm (Liu et al., 2020) was searched and published.

Norm and ReLU stand before each convolution of a block and once before pooling; nothing after the stem or on shortcuts.
"""

from __future__ import annotations

from ..arch import Act, ArchSpec, Image, Stage, Style
from ..parts import BatchNorm, ConvStem, PlainConv, PooledClassifier, PreActBottleneck

__all__ = ["DEPTHS", "members", "resnetv2"]

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnetv2(layers: int) -> ArchSpec:
    """ResNet-v2 with 50, 101 or 152 layers."""
    rows = zip(DEPTHS[layers], (256, 512, 1024, 2048), (1, 2, 2, 2), strict=True)
    return ArchSpec(
        name=f"resnetv2_{layers}",
        input=Image(resolution=224),
        style=Style(norm=BatchNorm(act=Act.RELU), conv=PlainConv()),
        stem=ConvStem(width=64, kernel=7, stride=2, pool=True, bare=True),
        stages=tuple(Stage(PreActBottleneck(), *row) for row in rows),
        head=PooledClassifier(classes=1000, activated=False),
    )


def members() -> tuple[ArchSpec, ...]:
    return tuple(resnetv2(layers) for layers in DEPTHS)
