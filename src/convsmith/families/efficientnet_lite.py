"""EfficientNet-Lite (tensorflow/tpu, 2020): EfficientNet for devices without squeeze-excitation or swish.

No squeeze-excitation, ReLU6, and the stem, the head and the repeats of the first and last stage stay as they are while
the rest grows. `tf_` names are the released networks, padded by TensorFlow's rule and fed (x - 127) / 128; without it the
padding is symmetric, as in timm's own training of the same names.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import IMAGENET_MEAN, IMAGENET_STD, Act, ArchSpec, Image, Padding, Stage, Style, grown
from ..layers import LinearInit
from ..parts import BatchNorm, ConvStem, MBConv, PlainConv, PooledClassifier
from ..units import Rounding

__all__ = ["LITE0", "SIZES", "members"]

# fmt: off
LITE0 = ArchSpec(
    name="efficientnet_lite0",
    input=Image(resolution=224, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    style=Style(norm=BatchNorm(act=Act.RELU6, eps=1e-3, momentum=0.01), conv=PlainConv(), drop_path=0.2),
    stem=ConvStem(width=32, kernel=3, stride=2),
    stages=(
        #     block                                depth width stride    side
        Stage(MBConv(kernel=3, expand=1, se=None),     1,   16,     1),  # 112
        Stage(MBConv(kernel=3, expand=6, se=None),     2,   24,     2),  #  56
        Stage(MBConv(kernel=5, expand=6, se=None),     2,   40,     2),  #  28
        Stage(MBConv(kernel=3, expand=6, se=None),     3,   80,     2),  #  14
        Stage(MBConv(kernel=5, expand=6, se=None),     3,  112,     1),  #  14
        Stage(MBConv(kernel=5, expand=6, se=None),     4,  192,     2),  #   7
        Stage(MBConv(kernel=3, expand=6, se=None),     1,  320,     1),  #   7
    ),
    head=PooledClassifier(classes=1000, width=1280, dropout=0.2, init=LinearInit.FAN_OUT),
)

#  size  width  depth  side  dropout
SIZES: dict[str, tuple[float, float, int, float]] = {
    "lite0": (1.0,   1.0,  224,   0.2),
    "lite1": (1.0,   1.1,  240,   0.2),
    "lite2": (1.1,   1.2,  260,   0.3),
    "lite3": (1.2,   1.4,  280,   0.3),
    "lite4": (1.4,   1.8,  300,   0.3),
}
# fmt: on


def member(size: str) -> ArchSpec:
    """EfficientNet-Lite0 to -Lite4 with symmetric padding."""
    width, depth, resolution, dropout = SIZES[size]
    spec = grown(LITE0, depth=depth, width=width, rounding=Rounding(keep_stem=True))
    fixed = (LITE0.stages[0], LITE0.stages[-1])
    first, last = (replace(spec.stages[at], depth=old.depth) for at, old in zip((0, -1), fixed, strict=True))
    return replace(
        spec.with_resolution(resolution),
        name=f"efficientnet_{size}",
        stages=(first, *spec.stages[1:-1], last),
        head=replace(LITE0.head, dropout=dropout),  # type: ignore[call-arg]
    )


def released(size: str) -> ArchSpec:
    """The network as its authors released it."""
    spec = member(size).with_style(conv=PlainConv(padding=Padding.SAME))
    image = replace(spec.input, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    return replace(spec, name=f"tf_{spec.name}", input=image)


def members() -> tuple[ArchSpec, ...]:
    return (*(member(size) for size in SIZES), *(released(size) for size in SIZES))
