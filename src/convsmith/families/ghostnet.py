"""GhostNet (Han et al., 2020) at three widths, the other base that the TinyNet paper shrinks.

Every width, also a block's inner one, is scaled from the table and goes to the nearest multiple of 4; the linear layer of
1280 before the classifier is never scaled.

The paper's GhostNet-A (79.4 % top-1, 11.9 M parameters, 591 M multiply-adds) has a table that no public code or text repeats,
and GhostNet-B to -E were never described; none of them is given here.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import Act, ArchSpec, Image, Stage, Style, grown
from ..parts import SE, BatchNorm, ConvStem, GhostBottleneck, PlainConv, PooledClassifier
from ..units import Rounding

__all__ = ["GHOSTNET", "WIDTHS", "members", "scaled"]

SQUEEZE = SE(ratio=0.25, act=Act.RELU, gate=Act.HARD_SIGMOID, divisor=4)

# fmt: off
GHOSTNET = ArchSpec(
    name="ghostnet_100",
    input=Image(resolution=224),
    style=Style(norm=BatchNorm(act=Act.RELU), conv=PlainConv()),
    stem=ConvStem(width=16, kernel=3, stride=2),
    stages=(
        #     block                                  depth width stride    side
        Stage(GhostBottleneck(3, 1),                     1,   16,     1),  # 112
        Stage(GhostBottleneck(3, 2),                     1,   24,     2),  #  56
        Stage(GhostBottleneck(3, 3),                     1,   24,     1),  #  56
        Stage(GhostBottleneck(5, 1.8, SQUEEZE),          1,   40,     2),  #  28
        Stage(GhostBottleneck(5, 3, SQUEEZE),            1,   40,     1),  #  28
        Stage(GhostBottleneck(3, 3),                     1,   80,     2),  #  14
        Stage(GhostBottleneck(3, 2.5),                   1,   80,     1),  #  14
        Stage(GhostBottleneck(3, 2.3),                   2,   80,     1),  #  14
        Stage(GhostBottleneck(3, 480 / 112, SQUEEZE),    1,  112,     1),  #  14
        Stage(GhostBottleneck(3, 6, SQUEEZE),            1,  112,     1),  #  14
        Stage(GhostBottleneck(5, 4.2, SQUEEZE),          1,  160,     2),  #   7
        Stage(GhostBottleneck(5, 6),                     1,  160,     1),  #   7
        Stage(GhostBottleneck(5, 6, SQUEEZE),            1,  160,     1),  #   7
        Stage(GhostBottleneck(5, 6),                     1,  160,     1),  #   7
        Stage(GhostBottleneck(5, 6, SQUEEZE),            1,  160,     1),  #   7
    ),
    head=PooledClassifier(classes=1000, width=960, hidden=1280, dropout=0.2),
)
# fmt: on


WIDTHS = (0.5, 1.0, 1.3)
ROUNDING = Rounding(width_to=4)


def scaled(width: float) -> ArchSpec:
    """GhostNet at another width."""
    spec = grown(GHOSTNET, width=width, rounding=ROUNDING)
    stages = tuple(
        replace(stage, block=_scaled(base, stage.width, width))
        for base, stage in zip(GHOSTNET.stages, spec.stages, strict=True)
    )
    head = replace(spec.head, hidden=1280)  # type: ignore[call-arg]
    return replace(spec, name=f"ghostnet_{round(100 * width):03d}", stages=stages, head=head)


def _scaled(base: Stage, out: int, width: float) -> GhostBottleneck:
    """The block of `base` whose inner width is rounded by itself, not as a multiple of the rounded output."""
    assert isinstance(base.block, GhostBottleneck)
    inner = round(base.width * base.block.expand)
    return replace(base.block, expand=ROUNDING.width(inner * width) / out)


def members() -> tuple[ArchSpec, ...]:
    return tuple(scaled(width) for width in WIDTHS)
