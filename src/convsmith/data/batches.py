"""Streams of batches: the same ones for any number of workers, and from wherever they are started.

A training batch is a pure function of (split, seed, step). There is nothing else to save for a resumed run, and nothing
for a worker process to disturb.

Of a film some frames are shown, a clip: where it begins is drawn by address in training, and is its middle in evaluation. What is
cut out, mirrored or coloured is so in all frames alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..recipe import Augment, JitterAugment
from .augment import BEGINS, DRAWS, altered, box, jitter, moved
from .beside import beside
from .inputs import Arrays, Inputs
from .moves import Move
from .resize import resized
from .sample import permutation, uniform
from .showing import Sides, alone, centred, enough, move_shown, shares, shown_of, stacked, threads_for
from .spans import ONE, Span, Views
from .split import Split

__all__ = [
    "HELD_BYTES", "Batch", "check_channels", "eval_batches", "held", "least_side", "steps_per_epoch", "train_batches",
]  # fmt: skip

HELD_BYTES = 256 * 2**20
ONCE = Views()


@dataclass(frozen=True, eq=False)
class Batch:
    """Images, uint8 (n, channels, height, width), or clips, (n, channels, frames, height, width), with what should come of them and
    their `indices` in the split.

    `answers` are of the kind that the split's targets give: int64 (n,) of `Labels`. `dropped` counts the images that
    belonged here but could not be read any more. `moves` says where each image's pixels lie in its picture, where the
    targets ask for it; it is empty otherwise. Several views of each come behind n: (n, views, channels, ...).
    """

    images: Tensor
    answers: Any  # `targets.Answers`: of which kind is known to who chose the data
    indices: Tensor
    dropped: int = 0
    moves: tuple[Move, ...] = ()

    def one_view(self) -> Batch:
        """Of several views of each the first."""
        return replace(self, images=self.images[:, 0])


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
    span: Span | None = None,
) -> Iterator[Batch]:
    """The batches of optimisation steps `first_step` to `last_step - 1`, counted from 0 over all epochs.

    Each epoch visits the images in an order of its own. Without random crops, and where it fits, the split is resized
    once and held (`held`). The global random state of torch and NumPy is neither read nor changed. `part` (i, n) is the
    i-th of n consecutive parts of every batch, the same images as in the whole; it may be empty. `span` says which frames of a
    film a clip has; without it one frame is shown, as a picture.
    """
    check_channels(channels)
    if not (augment.crops or isinstance(augment.policy, JitterAugment)):
        split = held(split, sides=sides, workers=workers, channels=channels)
    stream = _Stream(split, sides, channels, batch, augment, seed, part, span)
    return _loaded(stream, range(first_step, last_step), workers)


def eval_batches(
    split: Split,
    *,
    sides: Sides,
    batch: int,
    crop: float = 1.0,
    workers: int = 0,
    channels: int = 3,
    span: Span | None = None,
    views: Views = ONCE,
) -> Iterator[Batch]:
    """Every image once, in order: resized until it just covers round(sides / crop), then the centre cut out; or whole, where
    the targets are moved, and then `crop` is not read.

    Where one split is evaluated again and again, hand in what `held` made of it (with its `crop`, and none here). Of films, `span`
    is as in `train_batches`, and `views` says as how many clips each is shown.
    """
    check_channels(channels)
    sweep = _Sweep(split, sides, channels, batch, crop, span, views)
    return _loaded(sweep, range(-(-len(split) // batch)), workers)


def held(split: Split, *, sides: Sides, crop: float = 1.0, workers: int = 0, channels: int = 3) -> Split:
    """The split as `eval_batches` would show it, decoded and resized once and kept in memory.

    The split itself comes back where that would take more than `HELD_BYTES`, where an image cannot be read (which is then counted
    by the batch it is missing from), or where it is of films, of which not all is shown.
    """
    inputs, shape = split.inputs, (*sides, channels)
    if inputs.filmed:
        return split
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
    span: Span | None

    def __call__(self, step: int) -> Batch:
        epoch, at = divmod(step, steps_per_epoch(len(self.split), self.batch))
        order = permutation(len(self.split), seed=self.seed, epoch=epoch)
        indices = order[at * self.batch : (at + 1) * self.batch]
        i, n = self.part
        indices = indices[len(indices) * i // n : len(indices) * (i + 1) // n]
        filmed = self.split.inputs.filmed
        draws = uniform(self.seed, epoch, indices, DRAWS + filmed)
        made = self._filmed if filmed else self._made
        if made is not None:
            images, kept = stacked(
                len(indices), lambda j: made(indices[j], draws[j]), self.sides, self.channels,
                threads=threads_for(self.split.inputs), frames=_frames(self.span, self.split.inputs),
            )  # fmt: skip
        else:
            images, kept = shown_of(self.split, indices, self.sides, self.channels, crop=1.0)
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
        return resized(alone(image), *self.sides)

    def _filmed(self, i: int, draws: np.ndarray) -> Tensor:
        inputs, span, at = self.split.inputs, self.span or ONE, draws[BEGINS]
        if isinstance(self.augment.policy, JitterAugment):
            done = jitter(self.augment, draws, inputs.size(i), self.sides)
            clip = inputs.clip(i, span, at, channels=self.channels, least=2 * min(done.size))
            frames = np.stack([done.pixels(frame) for frame in clip.permute(0, 2, 3, 1).numpy()])
            return torch.from_numpy(frames).permute(0, 3, 1, 2)
        if not self.augment.crops:
            clip = inputs.clip(i, span, at, channels=self.channels, least=enough(self.sides, 1.0))
            return centred(clip, self.sides, 1.0)
        clip = inputs.clip(
            i, span, at, channels=self.channels, least=least_side(self.augment, self.sides),
            cut=lambda height, width: self._box(draws, height, width),
        )  # fmt: skip
        return resized(clip, *self.sides)

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
            shown = move_shown(inputs, i, self.sides, crop=1.0, whole=self.split.targets.moved)
        return shown.then(moved(self.augment, draws, *self.sides))


@dataclass(frozen=True, eq=False)
class _Sweep:
    """Evaluation batches by their number."""

    split: Split
    sides: Sides
    channels: int
    batch: int
    crop: float
    span: Span | None
    views: Views

    def __call__(self, step: int) -> Batch:
        indices = np.arange(step * self.batch, min(len(self.split), (step + 1) * self.batch))
        if self.split.inputs.filmed:
            images, kept = self._clips(indices)
            return _batch(self.split, indices, images, kept, lambda _: Move.identity())
        images, kept = shown_of(self.split, indices, self.sides, self.channels, self.crop)
        whole = self.split.targets.moved
        return _batch(
            self.split, indices, images, kept,
            lambda j: move_shown(self.split.inputs, indices[j], self.sides, self.crop, whole=whole),
        )  # fmt: skip

    def _clips(self, indices: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Films as evaluation shows them, and the positions of those that could be read."""
        inputs, span, views, n = self.split.inputs, self.span or ONE, self.views, len(indices)

        def clip(j: int) -> Tensor:
            film, which = divmod(j, views.clips)
            frames = inputs.clip(
                indices[film], span, (which + 0.5) / views.clips,
                channels=self.channels, least=enough(self.sides, self.crop),
            )  # fmt: skip
            return torch.cat([centred(frames, self.sides, self.crop, share) for share in shares(views.crops)])

        found, read = stacked(
            n * views.clips,
            clip,
            self.sides,
            self.channels,
            threads=threads_for(inputs),
            frames=span.frames * views.crops,
        )
        kept = np.flatnonzero(np.bincount(read // views.clips, minlength=n) == views.clips)
        found = found[torch.from_numpy(np.isin(read // views.clips, kept))]
        by_film = (len(kept), views.clips, self.channels, views.crops, span.frames, *self.sides)
        seen = found.reshape(by_film).movedim(3, 2).flatten(1, 2)
        seen = seen if _frames(self.span, inputs) else seen[:, :, :, 0]
        return (seen if len(views) > 1 else seen[:, 0]), kept


def _loaded(batch_of: Callable[[int], Batch], steps: range, workers: int) -> Iterator[Batch]:
    return beside(batch_of, steps, workers) if workers else map(batch_of, steps)


def _batch(split: Split, indices: np.ndarray, images: Tensor, kept: np.ndarray, move: Callable[[int], Move]) -> Batch:
    """The batch of the images `indices[kept]`; `move` of a position in `indices` is asked only for targets that move."""
    found = indices[kept]
    moves = tuple(move(j) for j in kept.tolist()) if split.targets.moved else ()
    answers = split.targets.answers(found, moves, (images.shape[-2], images.shape[-1]))
    return Batch(images, answers, torch.from_numpy(found), len(indices) - len(kept), moves)


def _frames(span: Span | None, inputs: Inputs) -> int:
    """How many frames are held together; 0 where pictures are shown, or one frame as a picture."""
    return span.frames if span is not None and inputs.filmed else 0
