"""BigNAS (Yu et al., 2020): the ends of its search space, and the child in it that is EfficientNet-B0.

The space is EfficientNet's with ranges: widths in steps of 8, depths, kernels of 3 or 5 per stage, sides of 192 to 320. Every
block has a shortcut, so that a supernet with its last scales at 0 starts as shortcuts alone. Squeeze-excitation is squeezed
from a block's input: the only reading under which the parameters printed for the children fit the space.

The four children that the paper names are printed with their costs but not, in anything public, with their widths and
depths; they are not given here as if they were.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import ArchSpec, Stage
from ..parts import ConvStem, MBConv, PooledClassifier
from .efficientnet import B0

__all__ = ["LARGEST", "SMALLEST", "members"]

# fmt: off
#   width       depth   kernels  expand  stride
STAGES: tuple[tuple[tuple[int, int], tuple[int, int], tuple[int, int], int, int], ...] = (
    ((16, 24),   (1, 2), (3, 3),  1,      1),
    ((24, 32),   (2, 3), (3, 3),  6,      2),
    ((40, 48),   (2, 3), (3, 5),  6,      2),
    ((80, 88),   (2, 4), (3, 5),  6,      2),
    ((112, 128), (2, 6), (3, 5),  6,      1),
    ((192, 216), (2, 6), (3, 5),  6,      2),
    ((320, 352), (1, 2), (3, 5),  6,      1),
)
STEM, HEAD, RESOLUTION = (32, 40), (1280, 1408), (192, 320)
# fmt: on


def _end(name: str, at: int) -> ArchSpec:
    """The child that is smallest (0) or largest (1) in everything."""
    return replace(
        B0.with_style(drop_path=0.0, zero_last=True).with_resolution(RESOLUTION[at]),
        name=name,
        stem=ConvStem(width=STEM[at]),
        stages=tuple(
            Stage(MBConv(kernel=kernels[at], expand=expand, skips=True), depths[at], widths[at], stride)
            for widths, depths, kernels, expand, stride in STAGES
        ),
        head=PooledClassifier(classes=1000, width=HEAD[at], dropout=0.2, init=B0.head.init),  # type: ignore[attr-defined]
    )


SMALLEST = _end("bignas_min", 0)
LARGEST = _end("bignas_max", 1)

CHILD_B0 = replace(
    B0.with_style(drop_path=0.0, zero_last=True),
    name="bignas_b0",
    stages=tuple(replace(stage, block=replace(stage.block, skips=True)) for stage in B0.stages),  # type: ignore[call-arg]
)


def members() -> tuple[ArchSpec, ...]:
    return (SMALLEST, CHILD_B0, LARGEST)
