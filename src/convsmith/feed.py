"""What joins a spec and its data to the loop, the evaluation and the exporter, which know nothing of each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .arch import ArchSpec
from .data import (
    ArraySplit,
    Batch,
    Cache,
    EncodedSplit,
    FileSplit,
    ImageData,
    JoinedSplit,
    Normalise,
    eval_batches,
    held,
    least_side,
    load_data,
    steps_per_epoch,
    train_batches,
)
from .data.pseudo import read_pseudo, with_pseudo
from .errors import UserError
from .evals import Scores, score
from .model import Model, build
from .recipe import Recipe
from .resolve import load_weights
from .runs import Run
from .training import Record

__all__ = [
    "Feed",
    "Source",
    "Watcher",
    "contents",
    "fingerprint",
    "normaliser",
    "samples_of",
    "score_on",
    "shape_of",
    "trained",
    "validation_batches",
]

EVAL_BATCH = 128


class Watcher:
    """Told what a job is doing; this one keeps silent. The command line has one that draws."""

    def stage(self, title: str, detail: str = "") -> None:
        """A stage begins."""

    def record(self, record: Record) -> None:
        """A training step or epoch is done."""

    def count(self, what: str, done: int, total: int) -> None:
        """`done` of `total` are done."""

    def note(self, text: str) -> None:
        """Something the user should know."""


@dataclass(frozen=True)
class Source:
    """Where data comes from: all that is needed to load it again, the same, on resuming."""

    what: str
    val: str | None = None
    root: str | None = None
    download: bool = False
    seed: int = 0
    pseudo: str | None = None
    pseudo_ratio: float = 1.0
    cache: str | None = None
    cache_side: int = 0

    def load(self, watcher: Watcher) -> ImageData:
        found = self._labelled(watcher)
        if self.pseudo is not None:
            found = with_pseudo(found, read_pseudo(Path(self.pseudo)), ratio=self.pseudo_ratio, seed=self.seed)
        return found if self.cache is None else replace(found, cache=self._cache(found, Path(self.cache), watcher))

    def _cache(self, images: ImageData, folder: Path, watcher: Watcher) -> Cache:
        """The cache of these images, which is not looked at before training."""
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--cache {folder} is a file; give a folder")
        if self.cache_side < 0:
            raise UserError(f"--cache-side is {self.cache_side}; give the pixels of a short side, or leave it out")
        place: list[object] = [self.what, self.val, self.root, self.pseudo]
        if self.pseudo is not None:  # which of them are drawn depends on these
            place += [self.pseudo_ratio, self.seed]
        # What was set aside is held as well: every seed divides another way, and all of them share one cache.
        splits = (images.train, images.val) if images.divided else (images.train,)
        digits = hashlib.sha256(repr(place).encode()).hexdigest()[:8]
        return Cache(folder, images.name, digits, splits, self.cache_side, watcher)

    def _labelled(self, watcher: Watcher) -> ImageData:
        found = load_data(
            self.what,
            val=self.val,
            root=Path(self.root) if self.root else None,
            download=self.download,
            seed=self.seed,
            progress=lambda done, total: watcher.count("checking images", done, total),
        )
        if found.skipped:
            first = found.skipped[0]
            watcher.note(
                f"{len(found.skipped)} images cannot be read and are left out, {first.path} first: {first.why}"
            )
        return found


@dataclass(frozen=True)
class Feed:
    """The training split as the loop sees it; `part` (i, n) is the i-th of n parts of every batch.

    A cache that is asked for and not there is built when a feed is made, which may take as long as some epochs: before
    the loop, so that no step waits for it and no clock of the loop's runs.
    """

    spec: ArchSpec
    images: ImageData
    recipe: Recipe
    seed: int
    workers: int
    part: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        cache = self._cache()
        if cache is None:
            return
        cache.ready()
        side, needed = self.spec.input.resolution, self._needed
        if cache.side < needed:
            cache.tell(
                f"crops of less than {min(1.0, (side / cache.side) ** 2):.0%} of an image that was shrunk to {cache.side} px "
                f"are enlarged to {side} px; --cache-side {needed} would leave them their pixels"
            )

    @property
    def _needed(self) -> int:
        return least_side(self.recipe.augment, self.spec.input.resolution)

    def _cache(self) -> Cache | None:
        cache = self.images.cache
        return None if cache is None else cache.with_side(self._needed)

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(len(self.images.train), self.recipe.batch)

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        augment, cache = self.recipe.augment, self._cache()
        return train_batches(
            self.images.train if cache is None else cache.over(self.images.train),
            resolution=self.spec.input.resolution,
            channels=self.spec.input.channels,
            batch=self.recipe.batch,
            augment=augment if self.images.mirror else replace(augment, mirror=0.0),
            seed=self.seed,
            first_step=first,
            last_step=last,
            workers=self.workers,
            part=self.part,
        )


def fingerprint(images: ImageData) -> str:
    """Sixteen digits that change when the classes, the split or a label change."""
    digest = hashlib.sha256("\0".join(images.classes).encode())
    for split in (images.train, images.val):
        digest.update(split.labels.tobytes())
    return digest.hexdigest()[:16]


def contents(images: ImageData) -> str:
    """Sixteen digits that change when an image does: by the bytes of those in memory, by the names and sizes of files."""
    digest = hashlib.sha256()
    parts = images.train.parts if isinstance(images.train, JoinedSplit) else (images.train,)
    for split in (*parts, images.val):
        match split:
            case ArraySplit():
                for rows in np.array_split(split.images, max(1, split.images.nbytes // 2**26)):
                    digest.update(np.ascontiguousarray(rows).tobytes())
            case EncodedSplit():
                for i in range(len(split)):
                    digest.update(split.bytes_of(i))
            case FileSplit():
                for path in map(Path, split.paths):
                    size = path.stat().st_size if path.exists() else -1
                    digest.update(f"{path.parent.name}/{path.name} {size}\0".encode())
    return digest.hexdigest()[:16]


def validation_batches(spec: ArchSpec, images: ImageData) -> Callable[[], Iterator[Batch]]:
    """A function that yields the validation batches, decoded once where they fit in memory."""
    resolution, channels = spec.input.resolution, spec.input.channels
    split = held(images.val, resolution=resolution, channels=channels)
    return lambda: eval_batches(split, resolution=resolution, channels=channels, batch=EVAL_BATCH)


def score_on(model: nn.Module, spec: ArchSpec, images: ImageData, where: torch.device) -> Scores:
    """The model's results on the validation images."""
    return score(
        model.to(where),
        validation_batches(spec, images)(),
        classes=images.classes,
        normalise=normaliser(spec, where),
        device=where,
        where=images.val.where,
    )


def trained(run: Run, spec: ArchSpec) -> Model:
    """The network of a run with its trained weights, in evaluation mode."""
    model = build(spec, seed=0)
    load_weights(model, run.file("model.safetensors"))
    return model.eval()


def samples_of(spec: ArchSpec, images: ImageData, n: int = 16) -> Tensor:
    """The first validation images, normalised, on the CPU."""
    first = next(validation_batches(spec, images)())
    normalised: Tensor = normaliser(spec, torch.device("cpu"))(first.images[:n])
    return normalised


def normaliser(spec: ArchSpec, where: torch.device) -> Normalise:
    """From bytes to what this network was made for, on a device."""
    return Normalise(spec.input.mean, spec.input.std).to(where)


def shape_of(spec: ArchSpec) -> tuple[int, int, int]:
    """(C, H, W) of one image."""
    return (spec.input.channels, spec.input.resolution, spec.input.resolution)
