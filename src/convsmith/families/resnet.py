"""ResNet (He et al., 2016), with the stride on the 3x3 as torchvision and timm have it ("v1.5")."""

from __future__ import annotations

from ..arch import Act, ArchSpec, Block, Image, Stage, Style
from ..parts import BasicBlock, BatchNorm, Bottleneck, ConvStem, PlainConv, PooledClassifier

__all__ = ["DEPTHS", "members", "resnet"]

# The last normalisation of a branch starts at 0, as timm and the large-batch recipe (Goyal et al., 2017) have it.
STYLE = Style(norm=BatchNorm(act=Act.RELU), conv=PlainConv(), zero_last=True)

# fmt: off
DEPTHS: dict[int, tuple[Block, tuple[int, int, int, int]]] = {
    18:  (BasicBlock(), (2, 2,  2, 2)),
    34:  (BasicBlock(), (3, 4,  6, 3)),
    50:  (Bottleneck(), (3, 4,  6, 3)),
    101: (Bottleneck(), (3, 4, 23, 3)),
    152: (Bottleneck(), (3, 8, 36, 3)),
}
# fmt: on


def resnet(layers: int) -> ArchSpec:
    """ResNet with 18, 34, 50, 101 or 152 layers at 224 px."""
    block, depths = DEPTHS[layers]
    widths = (64, 128, 256, 512) if isinstance(block, BasicBlock) else (256, 512, 1024, 2048)
    strides = (1, 2, 2, 2)
    return ArchSpec(
        name=f"resnet{layers}",
        input=Image(resolution=224),
        style=STYLE,
        stem=ConvStem(width=64, kernel=7, stride=2, pool=True),
        stages=tuple(Stage(block, *row) for row in zip(depths, widths, strides, strict=True)),
        head=PooledClassifier(classes=1000),
    )


def members() -> tuple[ArchSpec, ...]:
    return tuple(resnet(layers) for layers in DEPTHS)
