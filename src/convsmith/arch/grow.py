"""Growing a spec: depth, width, resolution and frames multiplied, and made whole numbers by a rounding."""

from __future__ import annotations

import math
from dataclasses import replace

from ..errors import UserError
from ..units import Rounding
from .inputs import Clip, Image
from .spec import ArchSpec

__all__ = ["grown"]


def grown(
    spec: ArchSpec,
    *,
    depth: float = 1.0,
    width: float = 1.0,
    resolution: float = 1.0,
    frames: float = 1.0,
    rounding: Rounding,
) -> ArchSpec:
    """`spec` with depth, width and resolution multiplied (EfficientNet, section 3.1):

        L_i = d L_i,  C_i = w C_i,  (H, W) = r (H, W)

    Every stage's depth and width, the stem's, the neck's and the head's widths are scaled, and how often a neck repeats its
    blocks; kernels, strides, expansion ratios and the classifier are not. A head that looks at regions looks at fewer of them in a
    smaller image. `rounding` says how the products become integers; sides are multiples of the stride of a neck's coarsest map,
    and of what the blocks of a generator enlarge by, too. The `frames` of a clip are multiplied likewise, to the nearest
    multiple of the total stride over time, as far apart in the film as they were. Factors of exactly 1 change nothing, even
    where the spec's own widths are no multiples of the rounding's step.

    Raises:
        UserError: frames of what reads pictures.
    """

    def grow(channels: float) -> int:
        return rounding.width(channels * width)

    stages, stem, neck, head = spec.stages, spec.stem, spec.neck, spec.head
    if width != 1:
        stages = tuple(replace(stage, width=grow(stage.width)) for stage in stages)
        stem = stem if rounding.keep_stem else stem.widened(grow)
        neck = None if neck is None else neck.widened(grow)
        # What a rounding says of the head is said of a classifier's convolution.
        least, kept = (rounding.least_head, rounding.keep_head) if neck is None else (0, False)
        head = head.widened(lambda channels: max(least, grow(channels), int(channels) if kept else 0))
    if depth != 1:
        stages = tuple(replace(stage, depth=rounding.repeats(stage.depth * depth)) for stage in stages)
        neck = None if neck is None else neck.deepened(lambda repeats: rounding.repeats(repeats * depth))
    image = spec.input
    if resolution != 1:
        step = math.lcm(rounding.resolution_to, spec.growth, 1 if neck is None else neck.coarsest)
        least_side = max(rounding.least_resolution, step if step > rounding.resolution_to else 1)
        rounding = replace(rounding, resolution_to=step, least_resolution=least_side)
        height, wide = (rounding.resolution(side * resolution) for side in image.sides)
        image = replace(image, resolution=height, width=None if image.width is None else wide)
        pixels, before = (math.prod(one.sides) for one in (image, spec.input))
        head = head.showing(pixels / before)
    if frames != 1:
        image = _longer(image, frames, math.prod(stage.over for stage in stages) * stem.reduction_over_time)
    return replace(spec, input=image, stem=stem, stages=stages, neck=neck, head=head)


def _longer(image: Image | Clip, times: float, step: int) -> Clip:
    if not isinstance(image, Clip):
        raise UserError(
            "only what reads clips has frames to scale, and this reads pictures: `inflated:NAME` reads clips"
        )
    return replace(image, frames=step * max(1, math.floor(image.frames * times / step + 0.5)))
