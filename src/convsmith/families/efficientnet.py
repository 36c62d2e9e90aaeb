"""EfficientNet (Tan & Le, 2019): one baseline found by search, and a family grown from it.

The released coefficients are a table, not the formula: B1 has width 1.0, B7 depth 3.1 where alpha ** 7 would be 3.58.
B8 and L2 came with AdvProp and Noisy Student. `scaling.Compound` is the formula.

The authors' networks pad by TensorFlow's rule: these carry timm's `tf_` names, the others are the same with symmetric padding.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import Act, ArchSpec, Image, Padding, Stage, Style, grown
from ..layers import LinearInit
from ..parts import BatchNorm, ConvStem, MBConv, PlainConv, PooledClassifier
from ..units import Rounding

__all__ = ["B0", "SIZES", "members"]

# fmt: off
B0 = ArchSpec(
    name="efficientnet_b0",
    input=Image(resolution=224),
    style=Style(norm=BatchNorm(act=Act.SILU, eps=1e-3, momentum=0.01), conv=PlainConv(), drop_path=0.2),
    stem=ConvStem(width=32, kernel=3, stride=2),
    stages=(
        #     block                       depth width stride    side
        Stage(MBConv(kernel=3, expand=1),     1,   16,     1),  # 112
        Stage(MBConv(kernel=3, expand=6),     2,   24,     2),  #  56
        Stage(MBConv(kernel=5, expand=6),     2,   40,     2),  #  28
        Stage(MBConv(kernel=3, expand=6),     3,   80,     2),  #  14
        Stage(MBConv(kernel=5, expand=6),     3,  112,     1),  #  14
        Stage(MBConv(kernel=5, expand=6),     4,  192,     2),  #   7
        Stage(MBConv(kernel=3, expand=6),     1,  320,     1),  #   7
    ),
    head=PooledClassifier(classes=1000, width=1280, dropout=0.2, init=LinearInit.FAN_OUT),
)

#  size  width  depth  side  dropout
SIZES: dict[str, tuple[float, float, int, float]] = {
    "b0": (1.0,   1.0,  224,   0.2),
    "b1": (1.0,   1.1,  240,   0.2),
    "b2": (1.1,   1.2,  260,   0.3),
    "b3": (1.2,   1.4,  300,   0.3),
    "b4": (1.4,   1.8,  380,   0.4),
    "b5": (1.6,   2.2,  456,   0.4),
    "b6": (1.8,   2.6,  528,   0.5),
    "b7": (2.0,   3.1,  600,   0.5),
    "b8": (2.2,   3.6,  672,   0.5),
    "l2": (4.3,   5.3,  800,   0.5),
}
# fmt: on


def member(size: str) -> ArchSpec:
    """The released network of that size, `b0` to `b8` or `l2`."""
    width, depth, resolution, dropout = SIZES[size]
    spec = grown(B0, depth=depth, width=width, rounding=Rounding()).with_resolution(resolution)
    return replace(spec, name=f"efficientnet_{size}", head=replace(spec.head, dropout=dropout))  # type: ignore[call-arg]


def released(size: str) -> ArchSpec:
    """The same network padded as the authors' weights need it."""
    spec = member(size)
    return replace(spec.with_style(conv=PlainConv(padding=Padding.SAME)), name=f"tf_{spec.name}")


def members() -> tuple[ArchSpec, ...]:
    return (*(member(size) for size in SIZES), *(released(size) for size in SIZES))
