"""Search spaces as tables, and one made from any network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from ..arch import Act, ArchSpec, Block, Image, Stage, Style
from ..errors import UserError
from ..families.bignas import LARGEST
from ..layers import LinearInit
from ..parts import SE, BatchNorm, ConvStem, MBConv, NoNorm, PlainConv, PooledClassifier
from .slicing import check
from .space import Axes, Space

__all__ = ["BIGNAS", "P16", "SPACES", "T32", "space_from"]

T = TypeVar("T", int, float)


def _steps(low: int, high: int, step: int = 8) -> tuple[int, ...]:
    return tuple(range(low, high + 1, step))


# BigNAS (Yu et al., 2020, table 1), widths in steps of 8. One of two ports offers only the ends of the last stage's and the
# head's widths. Expansion is fixed. The classifier starts at N(0, 0.01**2).
# fmt: off
BIGNAS = Space(
    base=replace(LARGEST, name="bignas", head=replace(LARGEST.head, init=LinearInit.NORMAL)),  # type: ignore[call-arg]
    resolution=(192, 224, 288, 320),
    stem=(32, 40),
    stages=(
        #    width            depth            kernel
        Axes(_steps(16, 24),  (1, 2),          (3,)),
        Axes(_steps(24, 32),  (2, 3),          (3,)),
        Axes(_steps(40, 48),  (2, 3),          (3, 5)),
        Axes(_steps(80, 88),  (2, 3, 4),       (3, 5)),
        Axes(_steps(112, 128), (2, 3, 4, 5, 6), (3, 5)),
        Axes(_steps(192, 216), (2, 3, 4, 5, 6), (3, 5)),
        Axes(_steps(320, 352), (1, 2),          (3, 5)),
    ),
    head=_steps(1280, 1408),
)

# For images of 32 pixels and two cores. Stem and first stage have ranges that never meet in the biggest, so that every
# projection of the supernet is the biggest child's too.
T32 = Space(
    base=ArchSpec(
        name="t32",
        input=Image(resolution=32),
        style=Style(norm=BatchNorm(act=Act.SILU, eps=1e-3, momentum=0.01), conv=PlainConv(), zero_last=True),
        stem=ConvStem(width=24, stride=1),
        stages=(
            Stage(MBConv(kernel=3, expand=1, se=None, skips=True), 1, 16, 1),
            Stage(MBConv(kernel=5, expand=4, se=None, skips=True), 3, 24, 2),
            Stage(MBConv(kernel=5, expand=4, se=SE(), skips=True), 3, 40, 2),
            Stage(MBConv(kernel=5, expand=4, se=SE(), skips=True), 3, 72, 2),
        ),
        head=PooledClassifier(classes=10, width=128, dropout=0.1, init=LinearInit.NORMAL),
    ),
    resolution=(20, 24, 28, 32),
    stem=(16, 24),
    stages=(
        Axes((8, 16)),
        Axes((16, 24),     (1, 2, 3), (3, 5)),
        Axes((32, 40),     (1, 2, 3), (3, 5)),
        Axes((56, 64, 72), (1, 2, 3), (3, 5)),
    ),
    head=(96, 128),
)

# For points in pictures of 112 x 192 pixels, or of that area, in a few milliseconds of one core: no gates, since a place is
# no property of the whole picture, and nothing beyond stride 16, where the maps are made. The table is ours.
P16 = Space(
    base=ArchSpec(
        name="p16",
        input=Image(resolution=160),
        style=Style(norm=BatchNorm(act=Act.RELU6, eps=1e-3, momentum=0.01), conv=PlainConv(), zero_last=True),
        stem=ConvStem(width=24, stride=2),
        stages=(
            Stage(MBConv(kernel=3, expand=1, se=None, skips=True), 1, 16, 1),
            Stage(MBConv(kernel=5, expand=4, se=None, skips=True), 3, 24, 2),
            Stage(MBConv(kernel=5, expand=4, se=None, skips=True), 3, 40, 2),
            Stage(MBConv(kernel=5, expand=4, se=None, skips=True), 4, 80, 2),
            Stage(MBConv(kernel=5, expand=4, se=None, skips=True), 4, 112, 1),
        ),
        head=PooledClassifier(classes=10, init=LinearInit.NORMAL),
    ),
    resolution=(160,),
    stem=(16, 24),
    stages=(
        Axes((8, 16)),
        Axes((16, 24),      (1, 2, 3),    (3, 5)),
        Axes((24, 32, 40),  (1, 2, 3),    (3, 5)),
        Axes((56, 64, 80),  (1, 2, 3, 4), (3, 5)),
        Axes((80, 96, 112), (1, 2, 3, 4), (3, 5)),
    ),
)
# fmt: on

SPACES = {"bignas": BIGNAS, "t32": T32, "p16": P16}


def space_from(
    spec: ArchSpec,
    *,
    width: float = 0.75,
    depth: float = 0.5,
    resolution: Sequence[int] = (),
    kernel: Sequence[int] = (),
    expand: Sequence[float] = (),
    divisor: int = 8,
) -> Space:
    """The networks within `spec`: `spec` is the biggest of them.

    Widths go from the share `width` of the stem's, a stage's and the head's own up to it in steps of `divisor`, depths from
    the share `depth`, rounded up, one by one. 1 leaves them as they are; two widths that one identity joins stay, too. Of
    `resolution`, `kernel` and `expand` (one value for all stages that have it) those below the network's own are taken, and
    its own.

    Every residual branch starts at 0, as the sandwich needs it; mobile inverted bottlenecks therefore get a shortcut where
    they had none. Both change `spec`.

    Raises:
        UserError: shares outside (0, 1]; or a part whose weights cannot be shared, with the reason.
    """
    for name, share in (("width", width), ("depth", depth)):
        if not 0 < share <= 1:
            raise UserError(f"{name} is a share of the network's own, above 0 and at most 1; got {share:g}")
    base = replace(
        spec if isinstance(spec.style.norm, NoNorm) else spec.with_style(zero_last=True),
        stages=tuple(replace(stage, block=_with_skip(stage.block)) for stage in spec.stages),
    )

    def widths(own: int, *, fixed: bool) -> tuple[int, ...]:
        least = math.ceil(own * width / divisor) * divisor
        return (own,) if fixed else (*range(least, own, divisor), own)

    # Where the biggest's first block of a stage keeps its shape there is no projection, which children of unequal widths
    # would need: both widths stay.
    every = [base.stem.width, *(stage.width for stage in base.stages)]
    keeps = [stage.stride == 1 and c_in == stage.width for c_in, stage in zip(every, base.stages, strict=False)]
    fixed = [before or after for before, after in zip((False, *keeps), (*keeps, False), strict=True)]
    stages = []
    for stage, bound in zip(base.stages, fixed[1:], strict=True):
        own = stage.block.choices
        stages.append(
            Axes(
                widths(stage.width, fixed=bound),
                tuple(range(math.ceil(stage.depth * depth), stage.depth + 1)),
                _up_to(kernel, own.kernel) if own.kernel is not None and own.mixer is None else (),
                _up_to(expand, own.expand) if own.expand is not None and own.expand != 1 else (),
            )
        )
    space = Space(
        base=base,
        resolution=_up_to(resolution, base.input.resolution),
        stem=widths(base.stem.width, fixed=fixed[0]),
        stages=tuple(stages),
        head=widths(base.head.choice, fixed=False) if base.head.choice else (),
    )
    check(space)
    return space


def _with_skip(block: Block) -> Block:
    return replace(block, skips=True) if isinstance(block, MBConv) else block


def _up_to(values: Sequence[T], own: T) -> tuple[T, ...]:
    return tuple(sorted({value for value in values if value < own} | {own}))
