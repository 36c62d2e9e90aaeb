"""The networks that a layer is tried in, and others that it is judged in: small, and as unlike each other as CPUs allow.

A layer that suits one network fails in another (Liu et al., 2020), so three are tried: pre-activation bottlenecks, inverted
residuals, and inverted residuals with squeeze-excitation. The last learns something even without any layer, since its gates
are not linear, and alone proves nothing. The toys are for images of 16 px and CPUs; the larger three, for 24 to 32 px and an
accelerator, are the networks of the paper at a quarter and half of their width with strides for small images.
"""

from __future__ import annotations

from ...arch import Act, ArchSpec, Image, Stage, Stem, Style
from ...parts import (
    SE,
    BasicBlock,
    BatchNorm,
    ConvStem,
    DepthwiseSeparable,
    MBConv,
    PlainConv,
    PooledClassifier,
    PreActBottleneck,
)

__all__ = ["ANCHORS", "LARGER", "OTHERS", "TOYS"]


def _network(name: str, side: int, stem: Stem, stages: tuple[Stage, ...], head: PooledClassifier) -> ArchSpec:
    style = Style(norm=BatchNorm(act=Act.RELU), conv=PlainConv())
    return ArchSpec(name=name, input=Image(resolution=side), style=style, stem=stem, stages=stages, head=head)


def _toy(name: str, stages: tuple[Stage, ...], head: int = 0, *, bare: bool = False) -> ArchSpec:
    """16 px, halved by the stem. `bare`: blocks normalise before they convolve, so nothing stands after the stem."""
    stem = ConvStem(width=16, kernel=3, stride=2, bare=bare)
    return _network(name, 16, stem, stages, PooledClassifier(classes=10, width=head, activated=not bare))


_SE = SE(ratio=0.25)

# fmt: off
TOYS: tuple[ArchSpec, ...] = (
    _toy("toy-resnetv2", (
        Stage(PreActBottleneck(), 1, 32, 1),
        Stage(PreActBottleneck(), 1, 64, 2),
        Stage(PreActBottleneck(), 1, 96, 1),
    ), bare=True),
    _toy("toy-mobilenetv2", (
        Stage(MBConv(3, expand=1, se=None), 1, 12, 1),
        Stage(MBConv(3, expand=4, se=None), 1, 16, 2),
        Stage(MBConv(3, expand=4, se=None), 2, 24, 1),
    ), 96),
    _toy("toy-efficientnet", (
        Stage(MBConv(3, expand=1, se=_SE), 1, 12, 1),
        Stage(MBConv(3, expand=4, se=_SE), 1, 16, 2),
        Stage(MBConv(5, expand=4, se=_SE), 1, 24, 1),
        Stage(MBConv(3, expand=4, se=_SE), 1, 32, 1),
    ), 96),
)

# What no search tries its layers in: activation after the sum and no bottleneck; no residual at all.
OTHERS: tuple[ArchSpec, ...] = (
    _toy("toy-resnet", (
        Stage(BasicBlock(), 1, 12, 1),
        Stage(BasicBlock(), 1, 24, 2),
        Stage(BasicBlock(), 1, 32, 1),
    )),
    _toy("toy-mobilenetv1", (
        Stage(DepthwiseSeparable(3), 1, 32, 1),
        Stage(DepthwiseSeparable(3), 2, 64, 2),
        Stage(DepthwiseSeparable(3), 2, 96, 1),
    )),
)


def _larger(name: str, stages: tuple[Stage, ...], head: int = 0, *, bare: bool = False) -> ArchSpec:
    stem = ConvStem(width=16, kernel=3, stride=1, bare=bare)
    return _network(name, 32, stem, stages, PooledClassifier(classes=10, width=head, activated=not bare))


def _inverted(rows: tuple[tuple[int, int, int, int, int], ...], se: SE | None) -> tuple[Stage, ...]:
    """Rows of (depth, width, stride, kernel, expansion)."""
    return tuple(
        Stage(MBConv(kernel, expand=expand, se=se), depth, width, stride)
        for depth, width, stride, kernel, expand in rows
    )


LARGER: tuple[ArchSpec, ...] = (
    _larger("small-resnetv2", tuple(
        Stage(PreActBottleneck(), *row) for row in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))
    ), bare=True),
    _larger("small-mobilenetv2", _inverted((
        (1, 8, 1, 3, 1), (2, 16, 1, 3, 6), (3, 16, 2, 3, 6), (4, 32, 2, 3, 6), (3, 48, 1, 3, 6), (3, 80, 2, 3, 6),
        (1, 160, 1, 3, 6),
    ), None), 640),
    _larger("small-efficientnet", _inverted((
        (1, 8, 1, 3, 1), (2, 16, 1, 3, 6), (2, 24, 2, 5, 6), (3, 40, 2, 3, 6), (3, 56, 1, 5, 6), (4, 96, 2, 5, 6),
        (1, 160, 1, 3, 6),
    ), _SE), 640),
)
# fmt: on

ANCHORS = {spec.name: spec for spec in (*TOYS, *OTHERS, *LARGER)}
