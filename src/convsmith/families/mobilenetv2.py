"""MobileNetV2 (Sandler et al., 2018): inverted residuals with linear bottlenecks at six widths.

The head's 1280 channels grow with the width but never shrink below 1280, in the authors' code as in timm's.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import Act, ArchSpec, Image, Stage, Style, grown
from ..layers import LinearInit
from ..parts import BatchNorm, ConvStem, MBConv, PlainConv, PooledClassifier
from ..units import Rounding

__all__ = ["BASE", "WIDTHS", "members"]

# fmt: off
BASE = ArchSpec(
    name="mobilenetv2_100",
    input=Image(resolution=224),
    style=Style(norm=BatchNorm(act=Act.RELU6), conv=PlainConv()),
    stem=ConvStem(width=32, kernel=3, stride=2),
    stages=(
        #     block                       depth width stride    side
        Stage(MBConv(3, expand=1, se=None),   1,   16,     1),  # 112
        Stage(MBConv(3, expand=6, se=None),   2,   24,     2),  #  56
        Stage(MBConv(3, expand=6, se=None),   3,   32,     2),  #  28
        Stage(MBConv(3, expand=6, se=None),   4,   64,     2),  #  14
        Stage(MBConv(3, expand=6, se=None),   3,   96,     1),  #  14
        Stage(MBConv(3, expand=6, se=None),   3,  160,     2),  #   7
        Stage(MBConv(3, expand=6, se=None),   1,  320,     1),  #   7
    ),
    head=PooledClassifier(classes=1000, width=1280, dropout=0.2, init=LinearInit.NORMAL),
)
# fmt: on

WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


def members() -> tuple[ArchSpec, ...]:
    rounding = Rounding(least_head=1280)
    return tuple(
        replace(grown(BASE, width=width, rounding=rounding), name=f"mobilenetv2_{round(100 * width):03d}")
        for width in WIDTHS
    )
