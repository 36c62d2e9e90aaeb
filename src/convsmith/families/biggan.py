"""BigGAN (Brock et al., 2019): networks that make images of a class, and `critic`, the network that each is trained against.

Widths are in units of `ch`, in the first author's release 64 at 32 px, for CIFAR-10, where every norm has tables of the classes
of its own and z goes into the first map alone; and 96 above, for ImageNet. BigGAN-deep has bottlenecks, two a stage. They are named
by their side; `biggan8`, for 8x8 digits, and `biggan32_ch16`, narrower, are ours, for two cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..arch import Act, ArchSpec, Image, Latent, Stage, Stem, Style
from ..errors import UserError
from ..parts import (
    Attention,
    BatchNorm,
    ConvStem,
    EvoNorm,
    EvoNormKind,
    GrowingBlock,
    GrowingBottleneck,
    LatentStem,
    NoNorm,
    Projection,
    ShrinkingBlock,
    ShrinkingBottleneck,
    ShrinkingStem,
    SpectralConv,
    ToImage,
    Told,
)

__all__ = ["critic", "members"]

# The widths of the first map and of each stage, all of which double the side, from 4 px on.
WIDTHS = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
_AT = 64  # the side of the maps that attention looks at, in the releases for ImageNet
# Of how many doublings the two releases are whose critic is no mirror.
_SHORTER, _NARROWER = 3, 4


def generator(
    side: int,
    ch: int,
    *,
    classes: int,
    dim: int,
    shared: int = 128,
    told: Told = Told.CHUNKS,
    attention: int = 0,
    deep: bool = False,
    eps: float = 1e-12,
) -> ArchSpec:
    """The generator of images of that side; `attention` is the side of the maps that it looks at, 0 for none."""
    first, *widths = (ch * units for units in WIDTHS[side])
    stages: list[Stage] = []
    before, at = first, 4
    for width in widths:
        if deep:
            stages.append(Stage(GrowingBottleneck(), 1, before, 1))
        stages.append(Stage(GrowingBottleneck() if deep else GrowingBlock(), 1, width, 2))
        before, at = width, 2 * at
        if at == attention:
            stages.append(Stage(Attention(), 1, width, 1))
    return ArchSpec(
        name=f"biggan{'_deep' if deep else ''}{side}",
        input=Latent(resolution=side, dim=dim, classes=classes),
        style=Style(norm=BatchNorm(act=Act.RELU), conv=SpectralConv(eps=eps)),
        stem=LatentStem(width=first, shared=shared, told=told),
        stages=tuple(stages),
        head=ToImage(),
    )


def digits() -> ArchSpec:
    """A generator of grey images of 8 px in 10 classes, 32 wide."""
    return ArchSpec(
        name="biggan8",
        input=Latent(resolution=8, channels=1, mean=(0.5,), std=(0.5,), dim=48, classes=10),
        style=Style(norm=BatchNorm(act=Act.RELU), conv=SpectralConv()),
        stem=LatentStem(width=32, shared=16),
        stages=(Stage(GrowingBlock(), 1, 32, 2), Stage(GrowingBlock(), 1, 32, 1)),
        head=ToImage(channels=1),
    )


def critic(generator: ArchSpec) -> ArchSpec:
    """The network that judges what `generator` makes, D(image, class) -> one number: a pure function of it, so that scaling a
    generator scales both.

    It is the generator seen in a mirror: for each stage that enlarges there is one that halves, as wide, and as deep as that with
    the blocks in front of it that keep the side; attention looks at the same side; and the width of the generator's first map
    comes last. It has no normalisation. Its convolutions are made as the generator's.

    Two of the releases are no mirrors, and are so here too: with three doublings (32 px) the critic halves once less, down to 8 px;
    with four (64 px) it is half as wide as the generator, but for the last width.

    Raises:
        UserError: `generator` does not make images of a class, or nothing in it enlarges.
    """
    image, levels = generator.input, _mirrored(generator)
    if not generator.head.makes or not isinstance(image, Latent) or not levels:
        raise UserError(f"{generator.name} makes no images of a class: there is nothing for a critic to judge")
    widths = [*(level.width for level in levels), generator.stem.width]
    if len(levels) == _NARROWER:
        widths[:-1] = [max(1, width // 2) for width in widths[:-1]]
    strides = [level.stride for level in levels]
    if len(levels) == _SHORTER:
        strides[-1] = 1
    looks = [level.looked for level in levels]
    if levels[0].deep:
        # A convolution at full size; every stage behind it halves first.
        stem: Stem = ConvStem(width=widths[0], stride=1, bare=True, bias=True)
        rows = list(zip((level.depth for level in levels), widths[1:], strides, looks, strict=True))
    else:
        # The first block halves too, so that the last keeps the side.
        stem = ShrinkingStem(width=widths[0])
        depths = [levels[0].depth - 1, *(level.depth for level in levels[1:]), 1]
        rows = list(zip(depths, widths, (1, *strides[1:], 1), (*looks, False), strict=True))
    block = ShrinkingBottleneck() if levels[0].deep else ShrinkingBlock()
    stages: list[Stage] = []
    for depth, width, stride, looked in rows:
        stages += [Stage(block, depth, width, stride)] if depth else []
        stages += [Stage(Attention(), 1, width, 1)] if looked else []
    return ArchSpec(
        name=f"{generator.name}_critic",
        input=Image(image.resolution, image.channels, image.mean, image.std, image.width),
        style=Style(norm=NoNorm(act=Act.RELU), conv=generator.style.conv),
        stem=stem,
        stages=tuple(stages),
        head=Projection(classes=image.classes),
    )


@dataclass
class _Level:
    """What a generator has at one of its enlargements, seen from the image: how wide it leaves it, in how many blocks, by how much
    it enlarges, and whether attention looks at the map before."""

    width: int
    depth: int
    stride: int
    deep: bool
    looked: bool = False


def _mirrored(generator: ArchSpec) -> list[_Level]:
    levels: list[_Level] = []
    for stage in reversed(generator.stages):
        if stage.block.grows and stage.stride > 1:
            levels.append(_Level(stage.width, stage.depth, stage.stride, isinstance(stage.block, GrowingBottleneck)))
        elif levels and stage.block.grows:
            levels[-1].depth += stage.depth
        elif levels:
            levels[-1].looked = True
    return levels


def members() -> tuple[ArchSpec, ...]:
    cifar: dict[str, Any] = {"classes": 10, "dim": 128, "shared": 0, "told": Told.NONE}
    imagenet: dict[str, Any] = {"classes": 1000, "attention": _AT, "eps": 1e-6}
    small = (digits(), replace(generator(32, 16, **cifar), name="biggan32_ch16"))
    deep = generator(128, 128, dim=128, told=Told.WHOLE, deep=True, **imagenet)
    return (
        *(one for plain in small for one in (plain, *_evolved(plain, groups=8))),
        generator(32, 64, **cifar),
        generator(64, 96, dim=100, **imagenet),
        generator(128, 96, dim=120, **imagenet),
        generator(256, 96, dim=140, **imagenet),
        deep,
        *_evolved(deep),
    )


def _evolved(plain: ArchSpec, groups: int = 32) -> Iterator[ArchSpec]:
    """The same with EvoNorm where batch norm and ReLU were (Liu et al., 2020, did so with BigGAN-deep)."""
    for kind in (EvoNormKind.B0, EvoNormKind.S0):
        yield replace(plain.with_style(norm=EvoNorm(variant=kind, groups=groups)), name=f"{plain.name}_evo{kind}")
