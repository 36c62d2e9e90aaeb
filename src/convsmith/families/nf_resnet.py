"""NF-ResNets (Brock et al., 2021): residual networks without normalisation.

timm's names are timm's networks: average-pooled shortcuts, ReLU's gain folded into every filter, no SkipInit but gains of
0 on the last convolution of each branch; `nf_seresnet` gates what that puts out. `_paper` are the authors' release: strided
shortcuts, the gain on the activation, a SkipInit scalar a block, TensorFlow's padding.
"""

from __future__ import annotations

from ..arch import Act, ArchSpec, Image, Padding, Stage, Style
from ..layers import LinearInit
from ..parts import SE, ConvStem, Guard, NFBottleneck, NoNorm, PooledClassifier, ScaledWS, Shortcut

__all__ = ["DEPTHS", "members", "paper", "timm"]

# fmt: off
DEPTHS: dict[int, tuple[int, int, int, int]] = {
    26:  (2,   2,  2,  2),  # timm only
    50:  (3,   4,  6,  3),
    101: (3,   4, 23,  3),
    152: (3,   8, 36,  3),
    200: (3,  24, 36,  3),
    288: (24, 24, 24, 24),
}
# fmt: on
WIDTHS, STRIDES = (256, 512, 1024, 2048), (1, 2, 2, 2)
SQUEEZE = SE(ratio=1 / 16, act=Act.RELU, divisor=8, gain=2.0)


def paper(layers: int) -> ArchSpec:
    """NF-ResNet as released."""
    return ArchSpec(
        name=f"nf_resnet{layers}_paper",
        input=Image(resolution=224),
        style=Style(norm=NoNorm(act=Act.RELU, gain=True), conv=ScaledWS(padding=Padding.SAME)),
        stem=ConvStem(width=64, kernel=7, stride=2, pool=True, bare=True),
        stages=_stages(NFBottleneck(), layers),
        head=PooledClassifier(classes=1000, activated=False, init=LinearInit.NORMAL),
    )


def timm(layers: int, se: SE | None = None) -> ArchSpec:
    """NF-ResNet as timm has and trained it."""
    return ArchSpec(
        name=f"nf_resnet{layers}" if se is None else f"nf_seresnet{layers}",
        input=Image(resolution=256 if layers == 50 and se is None else 224),  # the one that timm has trained
        style=Style(
            norm=NoNorm(act=Act.RELU),
            conv=ScaledWS(gain_of=Act.RELU, eps=1e-5, guard=Guard.ADDED),
            zero_last=True,
        ),
        stem=ConvStem(width=64, kernel=7, stride=2, pool=True, bare=True),
        stages=_stages(NFBottleneck(shortcut=Shortcut.POOL_CONV, skip_init=False, se=se), layers),
        head=PooledClassifier(classes=1000, activated=False, init=LinearInit.NORMAL),
    )


def _stages(block: NFBottleneck, layers: int) -> tuple[Stage, ...]:
    return tuple(Stage(block, *row) for row in zip(DEPTHS[layers], WIDTHS, STRIDES, strict=True))


def members() -> tuple[ArchSpec, ...]:
    plain, gated = ([timm(layers, se) for layers in (26, 50, 101)] for se in (None, SQUEEZE))
    return (*plain, *gated, *(paper(layers) for layers in DEPTHS if layers != 26))
