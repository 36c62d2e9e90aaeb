"""SpineNet (Du et al., 2020): a stem, two groups of bottlenecks, and blocks of mixed scales that put out five maps.

As classifiers they read the coarsest map. The authors' tables count a linear layer behind the pyramid and do not say what it
reads; the maps that nobody reads are counted with them.
"""

from __future__ import annotations

from ..arch import Act, ArchSpec, Image, Stage, Style
from ..parts import BatchNorm, Bottleneck, ConvStem, PlainConv, PooledClassifier, SpineNet

__all__ = ["SIZES", "members", "spinenet"]

STYLE = Style(norm=BatchNorm(act=Act.RELU, eps=1e-3, momentum=0.01), conv=PlainConv())

# fmt: off
#  size    widths           ends  repeats  alpha
SIZES: dict[str, tuple[tuple[int, int, int], int, int, float]] = {
    "49s":  ((41,  83, 166), 128,  1,      0.5),
    "49":   ((64, 128, 256), 256,  1,      0.5),
    "96":   ((64, 128, 256), 256,  2,      0.5),
    "143":  ((64, 128, 256), 256,  3,      1.0),
    "143l": ((83, 166, 332), 256,  3,      1.0),
    "190":  ((83, 166, 332), 512,  4,      1.0),
}
# fmt: on


def spinenet(size: str) -> ArchSpec:
    """SpineNet of that size, `49s` to `190`; its stem is 64 wide in all of them."""
    widths, ends, repeats, alpha = SIZES[size]
    return ArchSpec(
        name=f"spinenet_{size}",
        input=Image(resolution=224),
        style=STYLE,
        stem=ConvStem(width=64, kernel=7, stride=2, pool=True),
        stages=tuple(Stage(Bottleneck(), repeats, 4 * widths[0], 1) for _ in range(2)),
        head=PooledClassifier(classes=1000),
        neck=SpineNet(widths=widths, ends=ends, repeats=repeats, alpha=alpha),
    )


def members() -> tuple[ArchSpec, ...]:
    return tuple(spinenet(size) for size in SIZES)
