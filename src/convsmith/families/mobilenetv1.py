"""MobileNetV1 (Howard et al., 2017): depthwise-separable convolutions at four widths."""

from __future__ import annotations

from dataclasses import replace

from ..arch import Act, ArchSpec, Image, Stage, Style, grown
from ..layers import LinearInit
from ..parts import BatchNorm, ConvStem, DepthwiseSeparable, PlainConv, PooledClassifier
from ..units import Rounding

__all__ = ["BASE", "WIDTHS", "members"]

# fmt: off
BASE = ArchSpec(
    name="mobilenetv1_100",
    input=Image(resolution=224),
    style=Style(norm=BatchNorm(act=Act.RELU6), conv=PlainConv()),
    stem=ConvStem(width=32, kernel=3, stride=2),
    stages=(
        #     block                 depth width stride    side
        Stage(DepthwiseSeparable(3),    1,   64,     1),  # 112
        Stage(DepthwiseSeparable(3),    2,  128,     2),  #  56
        Stage(DepthwiseSeparable(3),    2,  256,     2),  #  28
        Stage(DepthwiseSeparable(3),    6,  512,     2),  #  14
        Stage(DepthwiseSeparable(3),    2, 1024,     2),  #   7
    ),
    head=PooledClassifier(classes=1000, init=LinearInit.NORMAL),
)
# fmt: on

WIDTHS = (0.25, 0.5, 0.75, 1.0)


def members() -> tuple[ArchSpec, ...]:
    return tuple(
        replace(grown(BASE, width=width, rounding=Rounding()), name=f"mobilenetv1_{round(100 * width):03d}")
        for width in WIDTHS
    )
