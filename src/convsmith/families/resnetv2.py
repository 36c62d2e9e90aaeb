"""Pre-activation ResNets (He et al., 2016b), the form in which EvoNorm (Liu et al., 2020) was searched and published.

Norm and ReLU stand before each convolution of a block and once before pooling; nothing after the stem or on shortcuts.
`d` is timm's, with a deep stem and average-pooled shortcuts, in batch norm and in what it was trained with instead.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import Act, ArchSpec, Image, Stage, Style
from ..parts import (
    BatchNorm,
    ConvStem,
    DeepStem,
    EvoNorm,
    GroupNorm,
    PlainConv,
    PooledClassifier,
    PreActBottleneck,
    Shortcut,
)

__all__ = ["DEPTHS", "members", "resnetv2", "resnetv2d"]

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnetv2(layers: int) -> ArchSpec:
    """ResNet-v2 with 50, 101 or 152 layers."""
    return ArchSpec(
        name=f"resnetv2_{layers}",
        input=Image(resolution=224),
        style=Style(norm=BatchNorm(act=Act.RELU), conv=PlainConv()),
        stem=ConvStem(width=64, kernel=7, stride=2, pool=True, bare=True),
        stages=_stages(PreActBottleneck(), layers),
        head=PooledClassifier(classes=1000, activated=False),
    )


def resnetv2d(layers: int) -> ArchSpec:
    """The same with three 3x3 convolutions for a stem, and a 2x2 average pool before each shortcut's convolution."""
    return replace(
        resnetv2(layers),
        name=f"resnetv2_{layers}d",
        stem=DeepStem(width=64, inner=32, bare=True),
        stages=_stages(PreActBottleneck(shortcut=Shortcut.POOL_CONV), layers),
    )


def _stages(block: PreActBottleneck, layers: int) -> tuple[Stage, ...]:
    rows = zip(DEPTHS[layers], (256, 512, 1024, 2048), (1, 2, 2, 2), strict=True)
    return tuple(Stage(block, *row) for row in rows)


def members() -> tuple[ArchSpec, ...]:
    deep = resnetv2d(50)
    carriers = (("gn", GroupNorm()), ("evos", EvoNorm()))
    return (
        *(resnetv2(layers) for layers in DEPTHS),
        deep,
        *(replace(deep.with_style(norm=norm), name=f"{deep.name}_{suffix}") for suffix, norm in carriers),
    )
