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

    `resolution` is the side, or the height of pictures that are shown whole. Without it they are shown as large as the network
    usually is or, where the task has a usual side of its own, as that.

    Raises:
        UserError: a network that makes images, for another task.
    """
    if spec.head.makes and not task.makes:
        raise UserError(
            f"{spec.name} makes images and tells nothing of them: give --task synthesise, as `convsmith train` takes it"
        )
    if images.sides is None:
        spec = task.fitted(spec, images.classes)
        return spec if resolution is None else spec.with_resolution(resolution)
    usual = replace(spec.input, resolution=task.side, width=None) if task.side and spec.neck is None else spec.input
    shown = replace(spec, input=in_aspect(usual, images.sides, resolution))
    fitted = task.fitted(shown, images.classes)
    if (step := coarsest(fitted)) <= STEP:
        return fitted
    return task.fitted(replace(spec, input=in_aspect(usual, images.sides, resolution, step)), images.classes)


def coarsest(spec: ArchSpec) -> int:
    """The total stride of the coarsest map that is handed to the head."""
    if spec.neck is None:
        return math.prod((spec.stem.reduction, *(stage.stride for stage in spec.stages)))
    return spec.neck.coarsest


def in_aspect(image: Image, sides: tuple[int, int], height: int | None = None, step: int = STEP) -> Image:
    """The input that shows pictures of `sides` (height, width) whole, with the area of `image` at most and no more pixels than
    they have, each side rounded up to a multiple of `step`. With `height` it is that high.

    >>> in_aspect(Image(224), (162, 288)).sides, in_aspect(Image(224), (480, 640)).sides
    ((176, 288), (208, 272))
    >>> in_aspect(Image(224), (480, 640), height=96).sides
    (96, 128)
    """
    tall, wide = sides
    if height is None:
        shrunk = min(1.0, math.sqrt(math.prod(image.sides) / (tall * wide)))
        return replace(image, resolution=_up(tall * shrunk, step), width=_up(wide * shrunk, step))
    high = height if step == STEP else _up(height, step)
    return replace(image, resolution=high, width=_up(wide * height / tall, step))


def refuse_norms(recipe: Recipe, *, weights: bool) -> None:
    """Raise `UserError` where norms are to keep statistics that no weights bring."""
    if recipe.norms is Norms.FROZEN and not weights:
        raise UserError(
            "norms=frozen keeps the statistics that weights bring, and there are none: give --weights, or --set norms=trained"
        )


def _up(side: float, step: int) -> int:
    return step * max(1, math.ceil(round(side / step, 6)))
