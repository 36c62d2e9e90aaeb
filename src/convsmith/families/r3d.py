"""3-D ResNets for clips: torchvision's R3D-18, and R3D-50 and R3D-RS as TensorFlow's Model Garden has them.

R3D-RS (Du et al., 2021, "Revisiting 3D ResNets for Video Recognition") is ResNet-RS over time: three convolutions as stem, of
which the first reads 5 frames and halves them, squeeze-excitation, and 3 frames at once in the first 1x1 of every bottleneck
of the last two stages. As released it keeps the max-pool, has no ResNet-D shortcut, and gates the last block of every stage by
itself, before squeeze-excitation: summaries of the paper have the gate behind that, and in every block. R3D-50 has the gates,
too. Nothing strides over time behind the stem.

Counts of the ledger are of clips of 32 frames at 224 px and 400 kinds, those of Kinetics-400. Padding is symmetric, as in torch;
the released weights were trained with TensorFlow's.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import Act, ArchSpec, Clip, Ramp, Stage
from ..parts import SE, BasicBlock, Bottleneck, ConvStem, DeepStem, Halving, PooledClassifier
from .resnet import STYLE

__all__ = ["DEPTHS", "members", "r3d", "r3d_rs"]

KINETICS = 400
INPUT = Clip(resolution=224, frames=32, stride=2)
BLOCK = Bottleneck(se=SE(ratio=0.25, act=Act.RELU), gated=True)

# fmt: off
DEPTHS: dict[int, tuple[int, int, int, int]] = {
    50:  (3,  4,  6, 3),
    101: (3,  4, 23, 3),
    152: (3,  8, 36, 3),
    200: (3, 24, 36, 3),
    270: (4, 29, 53, 4),
    300: (4, 36, 54, 4),
    350: (4, 36, 72, 4),
}
# fmt: on
_WIDTHS, _STRIDES = (256, 512, 1024, 2048), (1, 2, 2, 2)


def r3d_rs(layers: int) -> ArchSpec:
    """R3D-RS of a nominal depth, those of ResNet-RS and 300."""
    kernels = ((1,), (1,), (3,), (3,))
    rows = zip(DEPTHS[layers], _WIDTHS, _STRIDES, kernels, strict=True)
    return ArchSpec(
        name=f"r3d_rs{layers}",
        input=INPUT,
        style=replace(STYLE, ramp=Ramp.STAGES),
        stem=DeepStem(width=64, inner=32, then=Halving.POOL, temporal=5, over=2),
        stages=tuple(Stage(BLOCK, depth, width, stride, temporal=kernel) for depth, width, stride, kernel in rows),
        head=PooledClassifier(classes=KINETICS),
    )


def r3d(layers: int) -> ArchSpec:
    """R3D with 18 layers, torchvision's, at 16 frames of 112 px, or with 50, Model Garden's."""
    if layers == 18:
        block, widths = BasicBlock(), (64, 128, 256, 512)
        return ArchSpec(
            name="r3d_18",
            input=Clip(resolution=112, frames=16, stride=4, mean=_MEAN, std=_STD),
            style=replace(STYLE, zero_last=False),
            stem=ConvStem(width=64, kernel=7, temporal=3),
            stages=tuple(
                Stage(block, 2, width, stride, temporal=(3,), over=stride)
                for width, stride in zip(widths, _STRIDES, strict=True)
            ),
            head=PooledClassifier(classes=KINETICS),
        )
    kernels = ((3,), (3, 1), (3, 1), (1, 3))  # that blocks take in turn
    rows = zip(DEPTHS[50], _WIDTHS, _STRIDES, kernels, strict=True)
    return ArchSpec(
        name="r3d_50",
        input=INPUT,
        style=replace(STYLE, ramp=Ramp.STAGES),
        stem=ConvStem(width=64, kernel=7, pool=True, temporal=5, over=2, pool_over=2),
        stages=tuple(
            Stage(Bottleneck(gated=True), depth, width, stride, temporal=kernel)
            for depth, width, stride, kernel in rows
        ),
        head=PooledClassifier(classes=KINETICS),
    )


# torchvision normalises clips by these.
_MEAN, _STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)


def members() -> tuple[ArchSpec, ...]:
    return (r3d(18), r3d(50), *(r3d_rs(layers) for layers in DEPTHS))
