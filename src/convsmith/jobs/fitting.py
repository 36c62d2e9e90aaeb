"""A network made fit for what it is for and for its data: the same for every verb."""

from __future__ import annotations

import math
from dataclasses import replace

from ..arch import ArchSpec, Image
from ..data import ImageData
from ..errors import UserError
from ..recipe import Norms, Recipe
from ..tasks import Task

__all__ = ["fitted_to", "in_aspect", "refuse_norms"]

# Sides are whole multiples of the last map's stride, so that no cell of it lies half outside.
STEP = 16


def fitted_to(spec: ArchSpec, task: Task, images: ImageData, resolution: int | None = None) -> ArchSpec:
    """`spec` with the head for what the data names and, where pictures are shown whole, with their aspect.

    `resolution` is the side, or the height of pictures that are shown whole.
    """
    spec = task.fitted(spec, images.classes)
    if images.sides is None:
        return spec if resolution is None else spec.with_resolution(resolution)
    return replace(spec, input=in_aspect(spec.input, images.sides, resolution))


def in_aspect(image: Image, sides: tuple[int, int], height: int | None = None) -> Image:
    """The input that shows pictures of `sides` (height, width) whole, with the area of `image` at most and no more pixels than
    they have, each side rounded up to a multiple of 16. With `height` it is that high.

    >>> in_aspect(Image(224), (162, 288)).sides, in_aspect(Image(224), (480, 640)).sides
    ((176, 288), (208, 272))
    >>> in_aspect(Image(224), (480, 640), height=96).sides
    (96, 128)
    """
    tall, wide = sides
    if height is None:
        shrunk = min(1.0, math.sqrt(math.prod(image.sides) / (tall * wide)))
        return replace(image, resolution=_up(tall * shrunk), width=_up(wide * shrunk))
    return replace(image, resolution=height, width=_up(wide * height / tall))


def refuse_norms(recipe: Recipe, *, weights: bool) -> None:
    """Raise `UserError` where norms are to keep statistics that no weights bring."""
    if recipe.norms is Norms.FROZEN and not weights:
        raise UserError(
            "norms=frozen keeps the statistics that weights bring, and there are none: give --weights, or --set norms=trained"
        )


def _up(side: float) -> int:
    return STEP * max(1, math.ceil(round(side / STEP, 6)))
