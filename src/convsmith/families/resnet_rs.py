"""ResNet-RS (Bello et al., 2021): ResNet-D with squeeze-excitation, scaled in depth and, slowly, in resolution.

The stem is ResNet-D's three 3x3 convolutions and a fourth with stride 2 in place of the max-pool: all released
configurations, their weights, timm and Keras have it, though the paper's text lets the next stage stride. Squeeze-excitation
stands in every bottleneck, a quarter of its output width. The default sides are timm's; every published pair of depth and side
is a row of the ledger.

EfficientNet-RS keeps the widths and depths of B0 to B7 and lowers the side. Its points exist only as marks in a figure, so
none is given here as if it were known: `spec("efficientnet_b4", resolution=...)` is the rule.
"""

from __future__ import annotations

from ..arch import Act, ArchSpec, Image, Stage, Style
from ..parts import SE, BatchNorm, Bottleneck, DeepStem, Halving, PlainConv, PooledClassifier, Shortcut

__all__ = ["BLOCK", "DEPTHS", "STEM", "STYLE", "members", "resnet_rs"]

BLOCK = Bottleneck(shortcut=Shortcut.POOL_CONV, se=SE(ratio=0.25, act=Act.RELU))
STEM = DeepStem(width=64, inner=32, stride=2, then=Halving.CONV)
STYLE = Style(norm=BatchNorm(act=Act.RELU), conv=PlainConv(), zero_last=True)

# fmt: off
#  name  blocks            side
DEPTHS: dict[int, tuple[tuple[int, int, int, int], int]] = {
    50:  ((3,  4,  6, 3),  160),
    101: ((3,  4, 23, 3),  192),
    152: ((3,  8, 36, 3),  256),
    200: ((3, 24, 36, 3),  256),
    270: ((4, 29, 53, 4),  256),
    350: ((4, 36, 72, 4),  288),
    420: ((4, 44, 87, 4),  320),
}
# fmt: on


def resnet_rs(layers: int) -> ArchSpec:
    """ResNet-RS of a nominal depth: those called 270 and 420 have 272 and 419 layers."""
    depths, resolution = DEPTHS[layers]
    return ArchSpec(
        name=f"resnetrs{layers}",
        input=Image(resolution=resolution),
        style=STYLE,
        stem=STEM,
        stages=tuple(
            Stage(BLOCK, depth, width, stride)
            for depth, width, stride in zip(depths, (256, 512, 1024, 2048), (1, 2, 2, 2), strict=True)
        ),
        head=PooledClassifier(classes=1000),
    )


def members() -> tuple[ArchSpec, ...]:
    return tuple(resnet_rs(layers) for layers in DEPTHS)
