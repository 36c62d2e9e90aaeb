"""What joins a spec and its data to the loop, the evaluation and the exporter, which know nothing of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..arch import ArchSpec
from ..data import (
    Batch,
    Cache,
    ImageData,
    Normalise,
    eval_batches,
    held,
    least_side,
    steps_per_epoch,
    train_batches,
)
from ..evals import Scores, score
from ..exporting import Metadata
from ..model import Model, build
from ..recipe import Recipe
from ..resolve import load_weights
from ..runs import Run

__all__ = [
    "Feed",
    "metadata_of",
    "normaliser",
    "samples_of",
    "score_on",
    "shape_of",
    "trained",
    "validation_batches",
]

EVAL_BATCH = 128


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


def metadata_of(spec: ArchSpec, classes: Sequence[str] = ()) -> Metadata:
    """What an exported file of this network says of itself; `classes` are the names of its outputs, where they have some."""
    side = spec.input.resolution
    return Metadata(resolution=(side, side), mean=spec.input.mean, std=spec.input.std, classes=tuple(classes))


def shape_of(spec: ArchSpec) -> tuple[int, int, int]:
    """(C, H, W) of one image."""
    return (spec.input.channels, spec.input.resolution, spec.input.resolution)
