"""Networks for pictures that read clips: the same blocks, some of whose convolutions read several frames at once.

Source: Carreira and Zisserman (2017), who inflate kernels; Du et al. (2021), whose 3-D ResNet-RS has them in its later stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..arch import ArchSpec, Clip, Edges, Image
from ..errors import UserError

__all__ = ["flattened", "inflated", "over_time"]

_PREFIX = "inflated_"


def inflated(
    spec: ArchSpec,
    *,
    frames: int = 16,
    stride: int = 2,
    kernels: Sequence[int | Sequence[int]] | None = None,
    stem: int = 1,
) -> ArchSpec:
    """`spec` for clips of `frames` frames, `stride` frames of the film apart.

    `kernels` says how many frames a block of each stage reads at once: a number for all blocks, or several that its blocks
    take in turn, such as (3, 1). Without it the later half of the stages reads 3, as in 3-D ResNet-RS. `stem` is that of the
    first convolution. No stage strides over time. Where a block reads several frames, its first 1x1 convolution does, else its
    depthwise or its k x k convolutions. A clip's first and last frames are repeated beyond its ends, so that a clip on which
    nothing moves is one picture to the network at every time; weights of `spec` then give it the same output.

    >>> from convsmith.families import spec
    >>> inflated(spec("resnet50"), frames=8).stages[2].temporal
    (3,)

    Raises:
        UserError: it does not classify, or there is not a kernel for each stage.
    """
    if spec.neck is not None or spec.head.purpose != "classify":
        raise UserError(f"{spec.name} ends in {spec.head.describe()}: only classifiers can be had for clips")
    if spec.input.frames:
        raise UserError(f"{spec.name} reads clips already, of {spec.input.frames} frames")
    n = len(spec.stages)
    each = [1] * (n // 2) + [3] * (n - n // 2) if kernels is None else kernels
    if len(each) != n:
        raise UserError(f"{spec.name} has {n} stages; got kernels over time for {len(each)}")
    own = spec.input
    clip = Clip(own.resolution, own.channels, own.mean, own.std, own.width, frames=frames, stride=stride)
    return replace(
        spec,
        name=_PREFIX + spec.name,
        input=clip,
        style=replace(spec.style, conv=replace(spec.style.conv, edges=Edges.REPEATED)),
        stem=replace(spec.stem, temporal=stem),
        stages=tuple(
            replace(stage, temporal=(kernel,) if isinstance(kernel, int) else tuple(kernel))
            for stage, kernel in zip(spec.stages, each, strict=True)
        ),
    )


def flattened(spec: ArchSpec) -> ArchSpec:
    """The network for pictures that `spec` was inflated from: the same for one frame, no kernel of which is over time."""
    own = spec.input
    return replace(
        spec,
        name=spec.name.removeprefix(_PREFIX),
        input=Image(own.resolution, own.channels, own.mean, own.std, own.width),
        style=replace(spec.style, conv=replace(spec.style.conv, edges=Edges.ZEROS)),
        stem=replace(spec.stem, temporal=1, over=1),
        stages=tuple(replace(stage, temporal=(1,), over=1) for stage in spec.stages),
    )


def over_time(flat: ArchSpec, spec: ArchSpec) -> ArchSpec:
    """`flat`, which `flattened` made of `spec` and whose style, head or input may have been changed since, for clips again."""
    own, clip = flat.input, spec.input
    return replace(
        flat,
        name=spec.name,
        input=Clip(own.resolution, own.channels, own.mean, own.std, own.width, frames=clip.frames, stride=clip.stride),
        style=replace(flat.style, conv=replace(flat.style.conv, edges=spec.style.conv.edges)),
        stem=replace(flat.stem, temporal=spec.stem.temporal, over=spec.stem.over),
        stages=tuple(
            replace(stage, temporal=timed.temporal, over=timed.over)
            for stage, timed in zip(flat.stages, spec.stages, strict=True)
        ),
    )
