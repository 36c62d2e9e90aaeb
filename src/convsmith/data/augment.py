"""Random changes to training images that leave what they show as it is.

There are two steps: `box` chooses, from numbers drawn for the image, the rectangle that will be cut out and resized;
`altered` changes the resized batch. Neither draws a number of its own, which is what makes a stream of batches
independent of the number of workers. `moved` says from the same numbers where `altered` takes an image's pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..recipe import (
    SUB_POLICIES,
    Augment,
    AutoAugment,
    BySize,
    ColourJitter,
    JitterAugment,
    Operation,
    Policy,
    PoseAugment,
    RandAugment,
    Untouched,
)
from ..recipe.policies import MOST_LAYERS
from . import operations, posed
from .jittered import Jitter
from .moves import Move
from .operations import brightened, contrasted, operated, saturated

__all__ = ["BEGINS", "DRAWS", "altered", "box", "followed", "jitter", "moved"]

# How many numbers one image may use: 0-3 crop, 4 mirror, 5 erase or not, 6-9 where, 10 the noise, from 11 the policy.
_POLICY = 11
DRAWS = _POLICY + 3 * MOST_LAYERS
# Of films one more: where the clip begins.
BEGINS = DRAWS

# Pixels that a level translates by, on the side that a policy's `pixels_at` names.
_RAND_REACH, _AUTO_REACH = 10.0, 25.0
_OPERATIONS = tuple(Operation)

# Zhong et al. (2020), section 4.1: the erased area's share of the image, and its aspect ratio.
_ERASED_AREA = (0.02, 0.4)
_ERASED_RATIO = (0.3, 1 / 0.3)


def box(
    augment: Augment, draws: np.ndarray, height: int, width: int, *, aspect: float = 1.0
) -> tuple[int, int, int, int]:
    """The rectangle to keep: top, left, height, width. `draws` holds at least four numbers in [0, 1).

    The area is uniform over `crop`, the aspect ratio log-uniform over the part of `ratio`, times the `aspect` (width by
    height) of what the network is shown, that fits inside the image. (Inception's and torchvision's crop draw both until
    they fit, which makes large areas rarer.)
    """
    area = height * width * _between(augment.crop, draws[0])
    least = max(augment.ratio[0] * aspect, area / height**2)
    most = max(least, min(augment.ratio[1] * aspect, width**2 / area))
    ratio = math.exp(_between((math.log(least), math.log(most)), draws[1]))
    h = min(height, max(1, round(math.sqrt(area / ratio))))
    w = min(width, max(1, round(math.sqrt(area * ratio))))
    return int(draws[2] * (height - h + 1)), int(draws[3] * (width - w + 1)), h, w


def altered(augment: Augment, images: Tensor, draws: np.ndarray) -> Tensor:
    """The batch, uint8 (n, channels, height, width), changed in place; `draws` is (n, DRAWS) or wider. All frames of a clip,
    (n, channels, frames, height, width), are changed alike.

    First the mirror, then the policy, then the eraser. What `jitter` has made of pictures is mirrored already.
    """
    if not isinstance(augment.policy, JitterAugment):
        for i in np.flatnonzero(draws[:, 4] < augment.mirror):
            images[i] = images[i].flip(-1)
    if not isinstance(augment.policy, Untouched | JitterAugment):
        for image, own in zip(images, draws, strict=True):
            for frame in image.unbind(1) if image.ndim == 4 else (image,):
                pixels = frame.permute(1, 2, 0).numpy()
                pixels[...] = followed(augment.policy, pixels, own[_POLICY:DRAWS])
    for i in np.flatnonzero(draws[:, 5] < augment.erase):
        _erase(images[i], draws[i, 6:])
    return images


def moved(augment: Augment, draws: np.ndarray, height: int, width: int) -> Move:
    """Where the pixels of an image of this size go in `altered`, by the image's own `draws`."""
    if isinstance(augment.policy, JitterAugment):
        return Move.identity()
    move = Move.flipped(width) if draws[4] < augment.mirror else Move.identity()
    if isinstance(augment.policy, PoseAugment):
        return move.then(posed.moved(augment.policy, draws[_POLICY:], height, width))
    for one in _chosen(augment.policy, draws[_POLICY:], height, width):
        move = move.then(
            operations.moved(
                one.operation, one.level, one.draws, reach=one.reach, scale=one.scale, height=height, width=width
            )
        )
    return move


def jitter(augment: Augment, draws: np.ndarray, picture: tuple[int, int], sides: tuple[int, int]) -> Jitter:
    """What a `JitterAugment` does to a picture of this height and width, by the image's own `draws`."""
    assert isinstance(augment.policy, JitterAugment)
    return Jitter.drawn(augment.policy, draws[_POLICY:], draws[4] < augment.mirror, picture, sides)


def followed(policy: Policy, image: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """One image, uint8 (height, width, channels), after a policy. `draws` holds 3 MOST_LAYERS numbers in [0, 1)."""
    if isinstance(policy, ColourJitter):
        turns = ((brightened, policy.brightness), (contrasted, policy.contrast), (saturated, policy.colour))
        for i in np.argsort(draws[3:6]):  # a random order: three numbers, sorted
            turn, strength = turns[i]
            image = turn(image, 1 + strength * (2 * float(draws[i]) - 1))
        return image
    if isinstance(policy, PoseAugment):
        return posed.posed(policy, image, draws)
    for one in _chosen(policy, draws, *image.shape[:2]):
        image = operated(image, one.operation, one.level, one.draws, reach=one.reach, scale=one.scale)
    return image


class _Chosen(NamedTuple):
    """An operation that was drawn for an image, and what it is done with."""

    operation: Operation
    level: float
    draws: np.ndarray
    reach: float
    scale: float


def _chosen(policy: Policy, draws: np.ndarray, height: int, width: int) -> Iterator[_Chosen]:
    """The operations that a policy does to an image of this size, in their order."""
    match policy:
        case RandAugment(layers=layers, magnitude=magnitude, pixels_at=pixels_at):
            if isinstance(magnitude, BySize):
                raise ValueError("RandAugment's magnitude is a table by size; `recipes.settle` reads it")
            scale = max(height, width) / pixels_at if pixels_at else 1.0
            for own in draws[: 3 * layers].reshape(layers, 3):
                yield _Chosen(_OPERATIONS[int(own[0] * len(_OPERATIONS))], magnitude, own[1:], _RAND_REACH, scale)
        case AutoAugment(pixels_at=pixels_at):
            scale = max(height, width) / pixels_at if pixels_at else 1.0
            pair = SUB_POLICIES[int(draws[0] * len(SUB_POLICIES))]
            for (operation, chance, level), own in zip(pair, draws[1:7].reshape(2, 3), strict=True):
                if own[0] < chance:
                    yield _Chosen(operation, level, own[1:], _AUTO_REACH, scale)
        case Untouched() | ColourJitter() | JitterAugment():
            return
        case other:
            raise TypeError(f"no augmentation for {other!r}")


def _erase(image: Tensor, draws: np.ndarray) -> None:
    channels, height, width = image.shape[0], *image.shape[-2:]
    area = height * width * _between(_ERASED_AREA, draws[0])
    ratio = math.exp(_between((math.log(_ERASED_RATIO[0]), math.log(_ERASED_RATIO[1])), draws[1]))
    h = min(height, max(1, round(math.sqrt(area / ratio))))
    w = min(width, max(1, round(math.sqrt(area * ratio))))
    top, left = int(draws[2] * (height - h + 1)), int(draws[3] * (width - w + 1))
    generator = torch.Generator().manual_seed(int(draws[4] * 2**53))
    noise = torch.randint(0, 256, (channels, h, w), dtype=torch.uint8, generator=generator)
    image[..., top : top + h, left : left + w] = noise if image.ndim == 3 else noise[:, None]


def _between(range_: tuple[float, float], draw: float) -> float:
    return range_[0] + (range_[1] - range_[0]) * float(draw)
