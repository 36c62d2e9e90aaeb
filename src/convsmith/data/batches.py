"""Streams of batches: the same ones for any number of workers, and from wherever they are started.

A training batch is a pure function of (split, seed, step). There is nothing else to save for a resumed run, and nothing
for a worker process to disturb.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Dataset

from ..recipe import Augment
from .augment import DRAWS, altered, box
from .pictures import unwarned
from .sample import permutation, uniform
from .split import ArraySplit, EncodedSplit, FileSplit, JoinedSplit, Split

__all__ = ["HELD_BYTES", "Batch", "eval_batches", "held", "least_side", "shown", "steps_per_epoch", "train_batches"]

HELD_BYTES = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Batch:
    """Images, uint8 (n, channels, resolution, resolution), with int64 `labels` and their `indices` in the split.

    `dropped` counts the images that belonged here but could not be read any more.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    dropped: int = 0


def steps_per_epoch(n: int, batch: int) -> int:
    """How many batches an epoch of `n` images has: the partial one at the end is left out unless it is the only one."""
    return max(1, n // batch)


def least_side(augment: Augment, resolution: int) -> int:
    """The short side below which an image would leave the smallest crop fewer pixels than `resolution`."""
    return math.ceil(resolution / math.sqrt(augment.crop[0]))


def train_batches(
    split: Split,
    *,
    resolution: int,
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
    if not augment.crops:
        split = held(split, resolution=resolution, workers=workers, channels=channels)
    stream = _Stream(split, resolution, channels, batch, augment, seed, part)
    return _loaded(stream, range(first_step, last_step), workers)


def eval_batches(
    split: Split, *, resolution: int, batch: int, crop: float = 1.0, workers: int = 0, channels: int = 3
) -> Iterator[Batch]:
    """Every image once, in order: short side resized to round(resolution / crop), then the centre cut out.

    Where one split is evaluated again and again, hand in what `held` made of it (with its `crop`, and none here).
    """
    sweep = _Sweep(split, resolution, channels, batch, crop)
    return _loaded(sweep, range(-(-len(split) // batch)), workers)


def held(split: Split, *, resolution: int, crop: float = 1.0, workers: int = 0, channels: int = 3) -> Split:
    """The split as `eval_batches` would show it, decoded and resized once and kept in memory.

    The split itself comes back where that would take more than `HELD_BYTES`, or where an image cannot be read (which
    is then counted by the batch it is missing from).
    """
    shape = (resolution, resolution, channels)
    if isinstance(split, ArraySplit) and split.images.shape[1:] == shape and crop == 1.0:
        return split
    if len(split) * resolution**2 * channels > HELD_BYTES:
        return split
    images = np.empty((len(split), *shape), np.uint8)
    for part in eval_batches(split, resolution=resolution, batch=128, crop=crop, workers=workers, channels=channels):
        if part.dropped:
            return split
        images[part.indices.numpy()] = part.images.permute(0, 2, 3, 1).numpy()
    paths = tuple(path for i in range(len(split)) if (path := split.where(i)) is not None)
    return ArraySplit(split.labels, images, paths)


@dataclass(frozen=True, eq=False)
class _Stream(Dataset[Batch]):
    """Training batches by step."""

    split: Split
    resolution: int
    channels: int
    batch: int
    augment: Augment
    seed: int
    part: tuple[int, int]

    def __getitem__(self, step: int) -> Batch:
        epoch, at = divmod(step, steps_per_epoch(len(self.split), self.batch))
        order = permutation(len(self.split), seed=self.seed, epoch=epoch)
        indices = order[at * self.batch : (at + 1) * self.batch]
        i, n = self.part
        indices = indices[len(indices) * i // n : len(indices) * (i + 1) // n]
        draws = uniform(self.seed, epoch, indices, DRAWS)
        if self.augment.crops:
            images, kept = _stacked(
                len(indices),
                lambda j: self._cropped(indices[j], draws[j]),
                self.resolution,
                self.channels,
                threads=_threads(self.split),
            )
        else:
            images, kept = _shown(self.split, indices, self.resolution, self.channels, crop=1.0)
        return _batch(self.split, indices, altered(self.augment, images, draws[kept]), kept)

    def _cropped(self, i: int, draws: np.ndarray) -> Tensor:
        least = least_side(self.augment, self.resolution)
        image = self.split.decode(
            i, channels=self.channels, least=least, cut=lambda height, width: box(self.augment, draws, height, width)
        )
        return _resized(_alone(image), self.resolution, self.resolution)


@dataclass(frozen=True, eq=False)
class _Sweep(Dataset[Batch]):
    """Evaluation batches by their number."""

    split: Split
    resolution: int
    channels: int
    batch: int
    crop: float

    def __getitem__(self, step: int) -> Batch:
        indices = np.arange(step * self.batch, min(len(self.split), (step + 1) * self.batch))
        images, kept = _shown(self.split, indices, self.resolution, self.channels, self.crop)
        return _batch(self.split, indices, images, kept)


def _loaded(batches: Dataset[Batch], steps: range, workers: int) -> Iterator[Batch]:
    return iter(
        DataLoader(
            batches,
            sampler=steps,
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=workers,
            worker_init_fn=_undisturbed,
            generator=torch.Generator(),  # without one the loader draws its workers' seed from the global state
        )
    )


def _undisturbed(worker: int) -> None:
    """SIGTERM sent to a whole group of processes is the training process's to answer, with this one's help to the end of
    its step. A worker ends when that one does."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _as_it_is(batch: Any) -> Any:
    return batch


def _batch(split: Split, indices: np.ndarray, images: Tensor, kept: np.ndarray) -> Batch:
    found = indices[kept]
    return Batch(
        images, torch.from_numpy(split.labels[found]), torch.from_numpy(found), dropped=len(indices) - len(kept)
    )


def _shown(split: Split, indices: np.ndarray, resolution: int, channels: int, crop: float) -> tuple[Tensor, np.ndarray]:
    """Whole images, centred, and the positions in `indices` of those that could be read."""
    if isinstance(split, ArraySplit):
        whole = _centred(split.several(indices, channels), resolution, crop)
        # Grey shown as RGB is one plane seen three times, which nothing may write to.
        return whole.contiguous(memory_format=torch.channels_last), np.arange(len(indices))

    def decode(j: int, least: int) -> Tensor:
        return split.decode(indices[j], channels=channels, least=least)

    return shown(decode, len(indices), resolution=resolution, channels=channels, crop=crop, threads=_threads(split))


def shown(
    whole: Callable[[int, int], Tensor],
    n: int,
    *,
    resolution: int,
    channels: int,
    crop: float = 1.0,
    threads: int = 1,
) -> tuple[Tensor, np.ndarray]:
    """`n` images as evaluation shows them, uint8 (n, channels, resolution, resolution), and the numbers of those that could be
    read: the others are left out.

    `whole(j, least)` is image j as uint8 (channels, height, width) whose short side keeps `least` pixels where it had as
    many; it raises OSError where it cannot be read, and is called by `threads` threads.
    """
    # Twice the pixels needed: the quick reduction inside the JPEG decoder then does not show after the resize.
    least = 2 * round(resolution / crop)

    def image(j: int) -> Tensor:
        return _centred(_alone(whole(j, least)), resolution, crop)

    return _stacked(n, image, resolution, channels, threads=threads)


def _stacked(
    n: int, image: Callable[[int], Tensor], resolution: int, channels: int, *, threads: int
) -> tuple[Tensor, np.ndarray]:
    """`image(0)` to `image(n - 1)` as one batch, without those that cannot be read; and the numbers of the others."""
    # Channels last, and laid out here, by a worker where there are workers, rather than by the loop that trains. Filled by
    # NumPy: torch would wake its own threads for every image.
    batch = np.empty((n, resolution, resolution, channels), np.uint8)

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


def _threads(split: Split) -> int:
    """How many threads make a batch: of images to be decoded, torch's own number up to eight, one in a worker; else one."""
    return min(8, torch.get_num_threads()) if isinstance(split, FileSplit | EncodedSplit | JoinedSplit) else 1


def _alone(image: Tensor) -> Tensor:
    """An image as a batch of one, of which torch can see that a pixel's channels lie together: its answer does, too."""
    return image.permute(1, 2, 0)[None].permute(0, 3, 1, 2)


def _centred(images: Tensor, resolution: int, crop: float) -> Tensor:
    """A batch of one size: short side to round(resolution / crop), then the square in the middle."""
    images = shortened(images, round(resolution / crop))
    top, left = (images.shape[2] - resolution) // 2, (images.shape[3] - resolution) // 2
    return images[:, :, top : top + resolution, left : left + resolution]


def shortened(images: Tensor, short: int) -> Tensor:
    """A batch of one size, resized so that its short side has `short` pixels."""
    height, width = images.shape[2:]
    if height <= width:
        return _resized(images, short, short * width // height)
    return _resized(images, short * height // width, short)


def _resized(images: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bilinear; what torchvision's `resize` calls, without its dispatch and its slow import."""
    if images.shape[2:] == (height, width):
        return images
    return interpolate(images, size=(height, width), mode="bilinear", antialias=True)
