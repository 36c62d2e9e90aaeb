"""Streams of batches: the same ones for any number of workers, and from wherever they are started.

A training batch is a pure function of (split, seed, step). There is nothing else to save for a resumed run, and nothing
for a worker process to disturb.

An image is shown to a network in one of two ways. Of what an image is as a whole, its middle says most: it is resized until it
just covers the network's sides, and the middle is cut out. Targets that lie somewhere in it (`moved`) may lie anywhere: it is
resized to fit into the sides, both alike, stands at the top left, and the rest is black.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..errors import DataError
from ..recipe import Augment, JitterAugment
from .augment import DRAWS, altered, box, jitter, moved
from .beside import beside
from .inputs import Arrays, Boxed, Corrupted, Encoded, Files, Inputs, Items, Joined
from .moves import Move
from .pictures import unwarned
from .resize import central, covering, fitting, resized
from .sample import permutation, uniform
from .split import Split

__all__ = [
    "HELD_BYTES", "Batch", "check_channels", "eval_batches", "held", "least_side", "move_whole", "shown",
    "steps_per_epoch", "train_batches",
]  # fmt: skip

HELD_BYTES = 256 * 2**20

# The height and the width of what a network is shown.
Sides = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Batch:
    """Images, uint8 (n, channels, height, width), with what should come of them and their `indices` in the split.

    `answers` are of the kind that the split's targets give: int64 (n,) of `Labels`. `dropped` counts the images that
    belonged here but could not be read any more. `moves` says where each image's pixels lie in its picture, where the
    targets ask for it; it is empty otherwise.
    """

    images: Tensor
    answers: Any  # `targets.Answers`: of which kind is known to who chose the data
    indices: Tensor
    dropped: int = 0
    moves: tuple[Move, ...] = ()


def check_channels(channels: int) -> None:
    """Refuse a network that is shown neither grey nor colour.

    Raises:
        DataError: naming its number of channels.
    """
    if channels not in (1, 3):
        raise DataError(
            f"the network takes images of {channels} channels, and data is read as 1 (grey) or 3 (colour): give a network of "
            'these, as `"channels": 3` in its spec says, or train this one in a loop of your own'
        )


def steps_per_epoch(n: int, batch: int) -> int:
    """How many batches an epoch of `n` images has: the partial one at the end is left out unless it is the only one."""
    return max(1, n // batch)


def least_side(augment: Augment, sides: Sides) -> int:
    """The short side below which an image would leave the smallest crop fewer pixels than a network of `sides` has."""
    enlarged = augment.policy.scale[1] if isinstance(augment.policy, JitterAugment) else 1.0
    return math.ceil(enlarged * math.sqrt(sides[0] * sides[1]) / math.sqrt(augment.crop[0]))


def train_batches(
    split: Split,
    *,
    sides: Sides,
    batch: int,
    augment: Augment,
    seed: int,
    first_step: int,
    last_step: int,
    workers: int = 0,
    channels: int = 3,
    part: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """The batches of optimisation steps `first_step` to `last_step - 1`, counted from 0 over all epochs.

    Each epoch visits the images in an order of its own. Without random crops, and where it fits, the split is resized
    once and held (`held`). The global random state of torch and NumPy is neither read nor changed. `part` (i, n) is the
    i-th of n consecutive parts of every batch, the same images as in the whole; it may be empty.
    """
    check_channels(channels)
    if not (augment.crops or isinstance(augment.policy, JitterAugment)):
        split = held(split, sides=sides, workers=workers, channels=channels)
    stream = _Stream(split, sides, channels, batch, augment, seed, part)
    return _loaded(stream, range(first_step, last_step), workers)


def eval_batches(
    split: Split, *, sides: Sides, batch: int, crop: float = 1.0, workers: int = 0, channels: int = 3
) -> Iterator[Batch]:
    """Every image once, in order: resized until it just covers round(sides / crop), then the centre cut out; or whole, where
    the targets are moved, and then `crop` is not read.

    Where one split is evaluated again and again, hand in what `held` made of it (with its `crop`, and none here).
    """
    check_channels(channels)
    sweep = _Sweep(split, sides, channels, batch, crop)
    return _loaded(sweep, range(-(-len(split) // batch)), workers)


def held(split: Split, *, sides: Sides, crop: float = 1.0, workers: int = 0, channels: int = 3) -> Split:
    """The split as `eval_batches` would show it, decoded and resized once and kept in memory.

    The split itself comes back where that would take more than `HELD_BYTES`, or where an image cannot be read (which
    is then counted by the batch it is missing from).
    """
    inputs, shape = split.inputs, (*sides, channels)
    if isinstance(inputs, Arrays) and inputs.images.shape[1:] == shape and crop == 1.0:
        return split
    if len(split) * math.prod(shape) > HELD_BYTES:
        return split
    images = np.empty((len(split), *shape), np.uint8)
    moves: list[Move] = []
    for part in eval_batches(split, sides=sides, batch=128, crop=crop, workers=workers, channels=channels):
        if part.dropped:
            return split
        images[part.indices.numpy()] = part.images.permute(0, 2, 3, 1).numpy()
        moves += part.moves
    paths = tuple(path for i in range(len(split)) if (path := inputs.where(i)) is not None)
    return replace(split, inputs=Arrays(images, paths, tuple(moves)))


@dataclass(frozen=True, eq=False)
class _Stream:
    """Training batches by step."""

    split: Split
    sides: Sides
    channels: int
    batch: int
    augment: Augment
    seed: int
    part: tuple[int, int]

    def __call__(self, step: int) -> Batch:
        epoch, at = divmod(step, steps_per_epoch(len(self.split), self.batch))
        order = permutation(len(self.split), seed=self.seed, epoch=epoch)
        indices = order[at * self.batch : (at + 1) * self.batch]
        i, n = self.part
        indices = indices[len(indices) * i // n : len(indices) * (i + 1) // n]
        draws = uniform(self.seed, epoch, indices, DRAWS)
        if self._made is not None:
            made, threads = self._made, _threads(self.split.inputs)
            images, kept = _stacked(
                len(indices), lambda j: made(indices[j], draws[j]), self.sides, self.channels, threads=threads
            )
        else:
            images, kept = _shown(self.split, indices, self.sides, self.channels, crop=1.0)
        images = altered(self.augment, images, draws[kept])
        return _batch(self.split, indices, images, kept, lambda j: self._move(indices[j], draws[j]))

    @property
    def _made(self) -> Callable[[int, np.ndarray], Tensor] | None:
        """What makes a batch of one of an image and its numbers; None where all are shown as evaluation shows them."""
        if isinstance(self.augment.policy, JitterAugment):
            return self._jittered
        return self._cropped if self.augment.crops else None

    def _jittered(self, i: int, draws: np.ndarray) -> Tensor:
        done = jitter(self.augment, draws, self.split.inputs.size(i), self.sides)
        image = self.split.inputs.decode(i, channels=self.channels, least=2 * min(done.size))
        return torch.from_numpy(done.pixels(image.permute(1, 2, 0).numpy()))[None].permute(0, 3, 1, 2)

    def _cropped(self, i: int, draws: np.ndarray) -> Tensor:
        least = least_side(self.augment, self.sides)
        image = self.split.inputs.decode(
            i, channels=self.channels, least=least, cut=lambda height, width: self._box(draws, height, width)
        )
        return resized(_alone(image), *self.sides)

    def _box(self, draws: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
        return box(self.augment, draws, height, width, aspect=self.sides[1] / self.sides[0])

    def _move(self, i: int, draws: np.ndarray) -> Move:
        """Where the pixels of image `i` lie in its picture, from the numbers that its pixels are made by."""
        inputs = self.split.inputs
        if isinstance(self.augment.policy, JitterAugment):
            done = jitter(self.augment, draws, inputs.size(i), self.sides)
            height, width = inputs.size(i, least=2 * min(done.size))
            return inputs.origin(i, height, width).then(done.move((height, width)))
        if self.augment.crops:
            height, width = inputs.size(i, least=least_side(self.augment, self.sides))
            shown = inputs.origin(i, height, width).then(Move.crop_resize(self._box(draws, height, width), self.sides))
        else:
            shown = _move_shown(inputs, i, self.sides, crop=1.0, whole=self.split.targets.moved)
        return shown.then(moved(self.augment, draws, *self.sides))


@dataclass(frozen=True, eq=False)
class _Sweep:
    """Evaluation batches by their number."""

    split: Split
    sides: Sides
    channels: int
    batch: int
    crop: float

    def __call__(self, step: int) -> Batch:
        indices = np.arange(step * self.batch, min(len(self.split), (step + 1) * self.batch))
        images, kept = _shown(self.split, indices, self.sides, self.channels, self.crop)
        whole = self.split.targets.moved
        return _batch(
            self.split, indices, images, kept,
            lambda j: _move_shown(self.split.inputs, indices[j], self.sides, self.crop, whole=whole),
        )  # fmt: skip


def _loaded(batch_of: Callable[[int], Batch], steps: range, workers: int) -> Iterator[Batch]:
    return beside(batch_of, steps, workers) if workers else map(batch_of, steps)


def _batch(split: Split, indices: np.ndarray, images: Tensor, kept: np.ndarray, move: Callable[[int], Move]) -> Batch:
    """The batch of the images `indices[kept]`; `move` of a position in `indices` is asked only for targets that move."""
    found = indices[kept]
    moves = tuple(move(j) for j in kept.tolist()) if split.targets.moved else ()
    answers = split.targets.answers(found, moves, (images.shape[2], images.shape[3]))
    return Batch(images, answers, torch.from_numpy(found), len(indices) - len(kept), moves)


def _shown(split: Split, indices: np.ndarray, sides: Sides, channels: int, crop: float) -> tuple[Tensor, np.ndarray]:
    """Images as evaluation shows them, and the positions in `indices` of those that could be read."""
    inputs, whole = split.inputs, split.targets.moved
    if isinstance(inputs, Arrays):
        seen = _seen(inputs.several(indices, channels), sides, crop, whole)
        # Grey shown as RGB is one plane seen three times, which nothing may write to.
        return seen.contiguous(memory_format=torch.channels_last), np.arange(len(indices))

    def decode(j: int, least: int) -> Tensor:
        return inputs.decode(indices[j], channels=channels, least=least)

    return shown(decode, len(indices), sides=sides, channels=channels, crop=crop, threads=_threads(inputs), whole=whole)


def shown(
    picture: Callable[[int, int], Tensor],
    n: int,
    *,
    sides: Sides,
    channels: int,
    crop: float = 1.0,
    threads: int = 1,
    whole: bool = False,
) -> tuple[Tensor, np.ndarray]:
    """`n` images as evaluation shows them, uint8 (n, channels, height, width), and the numbers of those that could be read:
    the others are left out. `whole` images fit into the sides, for heads that find something in them (`Head.whole`).

    `picture(j, least)` is image j as uint8 (channels, height, width) whose short side keeps `least` pixels where it had as
    many; it raises OSError where it cannot be read, and is called by `threads` threads.
    """
    least = _enough(sides, crop)

    def image(j: int) -> Tensor:
        return _seen(_alone(picture(j, least)), sides, crop, whole)

    return _stacked(n, image, sides, channels, threads=threads)


def move_whole(size: Sides, sides: Sides) -> Move:
    """Where the pixels of a whole picture of `size`, shown to a network of `sides`, lie in it."""
    return Move.crop_resize((0, 0, *size), fitting(sides, *size))


def _move_shown(inputs: Inputs, i: int, sides: Sides, crop: float, *, whole: bool) -> Move:
    """Where the pixels of image `i`, as `_shown` shows it, lie in its picture."""
    height, width = inputs.size(i, least=_enough(sides, crop))
    origin = inputs.origin(i, height, width)
    if whole:
        return origin.then(move_whole((height, width), sides))
    part = central(_around(sides, crop), height, width)
    around = covering(_around(sides, crop), *part[2:])
    resize = Move.crop_resize(part, around)
    return origin.then(resize).then(Move.crop_resize((*_middle(around, sides), *sides), sides))


def _stacked(
    n: int, image: Callable[[int], Tensor], sides: Sides, channels: int, *, threads: int
) -> tuple[Tensor, np.ndarray]:
    """`image(0)` to `image(n - 1)` as one batch, without those that cannot be read; and the numbers of the others."""
    # Channels last, and laid out here, by a worker where there are workers, rather than by the loop that trains. Filled by
    # NumPy: torch would wake its own threads for every image.
    batch = np.empty((n, *sides, channels), np.uint8)

    def filled(j: int) -> bool:
        try:
            batch[j] = image(j)[0].permute(1, 2, 0).numpy()
        except OSError:  # a file vanished since it was checked: its batch counts it
            return False
        return True

    def every(first: int) -> list[bool]:
        return [filled(j) for j in range(first, n, threads)]

    read = np.zeros(n, dtype=bool)
    with unwarned():
        if threads == 1:
            read[:] = every(0)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for first, part in enumerate(pool.map(every, range(threads))):
                    read[first::threads] = part
    kept = np.flatnonzero(read)
    return torch.from_numpy(batch if len(kept) == n else batch[kept]).permute(0, 3, 1, 2), kept


def _threads(inputs: Inputs) -> int:
    """How many threads make a batch: of images to be decoded, torch's own number up to eight, one in a worker; else one."""
    if isinstance(inputs, Corrupted):  # work for threads wherever the images lie, but that a user's dataset may mind
        return 1 if isinstance(inputs.inputs, Items) else min(8, torch.get_num_threads())
    return min(8, torch.get_num_threads()) if isinstance(inputs, Files | Encoded | Joined | Boxed) else 1


def _alone(image: Tensor) -> Tensor:
    """An image as a batch of one, of which torch can see that a pixel's channels lie together: its answer does, too."""
    return image.permute(1, 2, 0)[None].permute(0, 3, 1, 2)


def _seen(images: Tensor, sides: Sides, crop: float, whole: bool) -> Tensor:
    """A batch of one size as a network of `sides` is shown it."""
    return _fitted(images, sides) if whole else _centred(images, sides, crop)


def _fitted(images: Tensor, sides: Sides) -> Tensor:
    """A batch of one size, made to fit into `sides`, at the top left of black."""
    height, width = fitting(sides, *images.shape[2:])
    images = resized(images, height, width)
    return images if (height, width) == sides else pad(images, (0, sides[1] - width, 0, sides[0] - height))


def _centred(images: Tensor, sides: Sides, crop: float) -> Tensor:
    """A batch of one size, made to cover round(sides / crop), then its middle."""
    around = _around(sides, crop)
    top, left, height, width = central(around, images.shape[2], images.shape[3])
    images = resized(images[:, :, top : top + height, left : left + width], *covering(around, height, width))
    top, left = _middle((images.shape[2], images.shape[3]), sides)
    return images[:, :, top : top + sides[0], left : left + sides[1]]


def _around(sides: Sides, crop: float) -> Sides:
    """What the middle of `sides` is cut out of."""
    return round(sides[0] / crop), round(sides[1] / crop)


def _middle(whole: Sides, sides: Sides) -> Sides:
    """Where the middle begins, from the top and from the left."""
    return (whole[0] - sides[0]) // 2, (whole[1] - sides[1]) // 2


def _enough(sides: Sides, crop: float) -> int:
    """Twice the pixels needed: the quick reduction inside the JPEG decoder then does not show after the resize."""
    return 2 * max(_around(sides, crop))
