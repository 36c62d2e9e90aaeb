"""NF-RegNets (Brock et al., 2021): normaliser-free, in groups of eight channels, since standardised depthwise filters fail.

The table's widths are multiplied by 0.75, and the first block of the network does not expand. timm's names are timm's networks:
all widths to multiples of 8, the gain folded into every filter, no SkipInit. `_paper` are the authors' release, whose printed
parameter counts could not be verified against it.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import Act, ArchSpec, Image, Padding, Stage, Style
from ..layers import LinearInit
from ..parts import SE, ConvStem, Guard, NFRegNetBlock, NoNorm, PooledClassifier, ScaledWS
from ..units import Rounding

__all__ = ["SIZES", "members", "paper", "timm"]

# fmt: off
#  size  widths                depths          train test  dropout
SIZES: dict[str, tuple[tuple[int, int, int, int], tuple[int, int, int, int], int, int, float]] = {
    "b0": ((48, 104, 208, 440), (1, 3,  6,  6), 192, 224, 0.2),
    "b1": ((48, 104, 208, 440), (2, 4,  7,  7), 224, 256, 0.2),
    "b2": ((56, 112, 232, 488), (2, 4,  8,  8), 240, 272, 0.3),
    "b3": ((56, 128, 248, 528), (2, 5,  9,  9), 288, 320, 0.3),
    "b4": ((64, 144, 288, 616), (2, 6, 11, 11), 320, 384, 0.4),
    "b5": ((80, 168, 336, 704), (3, 7, 14, 14), 384, 456, 0.4),
}
# fmt: on
WIDTH = 0.75
SQUEEZE = SE(ratio=0.5, act=Act.RELU, gain=2.0)


def paper(size: str) -> ArchSpec:
    """NF-RegNet as released, at its training resolution."""
    table, depths, resolution, _, dropout = SIZES[size]
    widths = [int(WIDTH * width) for width in table]
    return ArchSpec(
        name=f"nf_regnet_{size}_paper",
        input=Image(resolution=resolution),
        style=Style(norm=NoNorm(act=Act.SILU, gain=True), conv=ScaledWS(padding=Padding.SAME), drop_path=0.1),
        stem=ConvStem(width=widths[0], bare=True),
        stages=_stages(NFRegNetBlock(se=SQUEEZE), depths, widths),
        head=PooledClassifier(
            classes=1000, width=1280 * widths[-1] // 440, dropout=dropout, activated=False, init=LinearInit.ZERO
        ),
    )


def timm(size: str) -> ArchSpec:
    """NF-RegNet as timm has it."""
    table, depths, resolution, _, _ = SIZES[size]
    eighths = Rounding()
    widths = [eighths.width(WIDTH * width) for width in table]
    block = NFRegNetBlock(se=replace(SQUEEZE, divisor=8), skip_init=False, nearest=True)
    return ArchSpec(
        name=f"nf_regnet_{size}",
        input=Image(resolution=256 if size == "b1" else resolution),  # the one that timm has trained
        style=Style(
            norm=NoNorm(act=Act.SILU),
            conv=ScaledWS(gain_of=Act.SILU, eps=1e-5, guard=Guard.ADDED),
            zero_last=True,
        ),
        stem=ConvStem(width=widths[0], bare=True),
        stages=_stages(block, depths, widths),
        head=PooledClassifier(
            classes=1000,
            width=eighths.width(WIDTH * (1280 * table[-1] // 440)),
            activated=False,
            init=LinearInit.NORMAL,
        ),
    )


def _stages(block: NFRegNetBlock, depths: tuple[int, ...], widths: list[int]) -> tuple[Stage, ...]:
    first = Stage(replace(block, expand=1), 1, widths[0], 2)
    rest = [Stage(block, depths[0] - 1, widths[0], 1)] if depths[0] > 1 else []
    others = (Stage(block, depth, width, 2) for depth, width in zip(depths[1:], widths[1:], strict=True))
    return (first, *rest, *others)


def members() -> tuple[ArchSpec, ...]:
    return (*(timm(size) for size in SIZES), *(paper(size) for size in SIZES))
