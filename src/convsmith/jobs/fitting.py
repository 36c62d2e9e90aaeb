"""A network made fit for what it is for and for its data: the same for every verb."""

from __future__ import annotations

import math
from dataclasses import replace

from ..arch import ArchSpec, Image
from ..data import ImageData, Inputs, span_of
from ..errors import UserError
from ..recipe import Norms, Recipe
from ..tasks import Task
from ..units import plural

__all__ = ["fitted_to", "in_aspect", "refuse_norms", "told_of_frames"]

# Sides are whole multiples of the last map's stride, so that no cell of it lies half outside.
STEP = 16


def fitted_to(spec: ArchSpec, task: Task, images: ImageData, resolution: int | None = None) -> ArchSpec:
    """`spec` with the head for what the data names and, where pictures are shown whole, with their aspect.

    `resolution` is the side, or the height of pictures that are shown whole. Without it they are shown as large as the network
    usually is or, where the task has a usual side of its own, as that.

    Raises:
        UserError: the network reads clips, and the data has images; or it makes images, for another task.
    """
    if spec.head.makes and not task.makes:
        raise UserError(
            f"{spec.name} makes images and tells nothing of them: give --task synthesise, as `convsmith train` takes it"
        )
    if spec.input.frames and not images.filmed:
        raise UserError(
            f"{spec.name} reads clips of {spec.input.frames} frames, and {images.name} has images, which do not move: give films, "
            "such as moving-digits, or a network for images"
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


def told_of_frames(spec: ArchSpec, inputs: Inputs) -> str:
    """What is to be said of how much of each film the network sees; empty where there are no films, or nothing is odd."""
    if not inputs.filmed:
        return ""
    span = span_of(spec.input)
    if span is None:
        return (
            f"{spec.name} reads images, and is shown one frame of each film: any in training, the middle one in evaluation. "
            f"inflated:{spec.name} reads clips"
        )
    short = sum(inputs.length(i) < span.reach for i in range(len(inputs)))
    if not short:
        return ""
    return (
        f"{plural(short, 'film')} of {len(inputs):,} {'is' if short == 1 else 'are'} shorter than the {span.reach} frames that "
        "a clip reaches over: clips of these begin again at the first frame"
    )


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
