"""MnasNet (Tan et al., 2019): B1, found by search without squeeze-excitation, and A1, with it.

timm's names: `mnasnet_100` is B1, `semnasnet_100` is A1. The convolution after the last stage is 1280 wide, never scaled.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import Act, ArchSpec, Image, Stage, Style, grown
from ..layers import LinearInit
from ..parts import SE, BatchNorm, ConvStem, MBConv, PlainConv, PooledClassifier
from ..units import Rounding

__all__ = ["A1", "B1", "members"]

STYLE = Style(norm=BatchNorm(act=Act.RELU), conv=PlainConv())
SQUEEZE = SE(ratio=0.25, act=Act.RELU)

# fmt: off
B1 = ArchSpec(
    name="mnasnet_100",
    input=Image(resolution=224),
    style=STYLE,
    stem=ConvStem(width=32, kernel=3, stride=2),
    stages=(
        #     block                                depth width stride    side
        Stage(MBConv(kernel=3, expand=1, se=None),     1,   16,     1),  # 112
        Stage(MBConv(kernel=3, expand=3, se=None),     3,   24,     2),  #  56
        Stage(MBConv(kernel=5, expand=3, se=None),     3,   40,     2),  #  28
        Stage(MBConv(kernel=5, expand=6, se=None),     3,   80,     2),  #  14
        Stage(MBConv(kernel=3, expand=6, se=None),     2,   96,     1),  #  14
        Stage(MBConv(kernel=5, expand=6, se=None),     4,  192,     2),  #   7
        Stage(MBConv(kernel=3, expand=6, se=None),     1,  320,     1),  #   7
    ),
    head=PooledClassifier(classes=1000, width=1280, dropout=0.2, init=LinearInit.NORMAL),
)

A1 = ArchSpec(
    name="semnasnet_100",
    input=Image(resolution=224),
    style=STYLE,
    stem=ConvStem(width=32, kernel=3, stride=2),
    stages=(
        #     block                                   depth width stride    side
        Stage(MBConv(kernel=3, expand=1, se=None),        1,   16,     1),  # 112
        Stage(MBConv(kernel=3, expand=6, se=None),        2,   24,     2),  #  56
        Stage(MBConv(kernel=5, expand=3, se=SQUEEZE),     3,   40,     2),  #  28
        Stage(MBConv(kernel=3, expand=6, se=None),        4,   80,     2),  #  14
        Stage(MBConv(kernel=3, expand=6, se=SQUEEZE),     2,  112,     1),  #  14
        Stage(MBConv(kernel=5, expand=6, se=SQUEEZE),     3,  160,     2),  #   7
        Stage(MBConv(kernel=3, expand=6, se=None),        1,  320,     1),  #   7
    ),
    head=PooledClassifier(classes=1000, width=1280, dropout=0.2, init=LinearInit.NORMAL),
)
# fmt: on

WIDTHS = (0.5, 0.75, 1.0, 1.4)


def scaled(base: ArchSpec, width: float) -> ArchSpec:
    """MnasNet at another width."""
    spec = grown(base, width=width, rounding=Rounding())
    return replace(spec, name=f"{base.name[:-4]}_{round(100 * width):03d}", head=base.head)


def members() -> tuple[ArchSpec, ...]:
    return tuple(scaled(base, width) for base in (B1, A1) for width in WIDTHS)
