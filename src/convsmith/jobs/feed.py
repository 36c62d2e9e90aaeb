"""What joins a spec and its data to the loop, the evaluation and the exporter, which know nothing of each other."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..arch import ArchSpec
from ..codec import from_data
from ..data import (
    Batch,
    Cache,
    ImageData,
    Normalise,
    Split,
    Views,
    eval_batches,
    held,
    least_side,
    span_of,
    steps_per_epoch,
    train_batches,
)
from ..data.batches import HELD_BYTES, ONCE
from ..data.images import placed
from ..errors import UserError, first_line
from ..evals import Meter, OverViews, evaluate, outputs
from ..exporting import Metadata
from ..exporting.metadata import RESIZE, WHOLE
from ..model import Model, build
from ..recipe import Recipe
from ..resolve import load_weights, weights_of
from ..runs import Config, RunFolder
from ..scores import Scores
from ..tasks import TASKS, Classify, Task
from ..training import Ranks
from ..training.ranks import ALONE

__all__ = [
    "EVAL_BATCH",
    "Feed",
    "at_once",
    "is_of_weights",
    "metadata_of",
    "normaliser",
    "record_of_weights",
    "refuse_lone_images",
    "refuse_misfit",
    "samples_of",
    "score_on",
    "shape_of",
    "task_of",
    "trained",
    "validation_batches",
]

EVAL_BATCH = 128
# Of a detector: its maps are large, and so is what lies between them and what it finds.
_ALONE = 8


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
        return least_side(self.recipe.augment, self.spec.input.sides)

    def _cache(self) -> Cache | None:
        cache = self.images.cache
        return None if cache is None else cache.with_side(self._needed)

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(len(self.images.train), self.recipe.batch)

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        augment, cache = self.recipe.augment, self._cache()
        train = self.images.train
        return train_batches(
            train if cache is None else replace(train, inputs=cache.over(train.inputs)),
            sides=self.spec.input.sides,
            channels=self.spec.input.channels,
            batch=self.recipe.batch,
            augment=augment if self.images.mirror else replace(augment, mirror=0.0),
            seed=self.seed,
            first_step=first,
            last_step=last,
            workers=self.workers,
            part=self.part,
            span=span_of(self.spec.input),
        )


def at_once(spec: ArchSpec) -> int:
    """How many images, or clips, a network is shown at once where it is evaluated."""
    return _ALONE if spec.head.alone else max(1, EVAL_BATCH // max(1, spec.input.frames))


def validation_batches(spec: ArchSpec, part: Split, views: Views = ONCE) -> Callable[[], Iterator[Batch]]:
    """A function that yields the batches of a part to evaluate on, decoded once where they fit in memory."""
    sides, channels, span = spec.input.sides, spec.input.channels, span_of(spec.input)
    split = held(part, sides=sides, channels=channels)

    def batches() -> Iterator[Batch]:
        return eval_batches(
            split, sides=sides, channels=channels, batch=max(1, at_once(spec) // len(views)), span=span, views=views
        )

    if not part.inputs.filmed or len(part) * len(views) * math.prod(spec.input.shape.dims) > HELD_BYTES:
        return batches
    kept: list[Batch] = []

    def again() -> Iterator[Batch]:
        kept.extend(batches() if not kept else ())
        return iter(kept)

    return again


def score_on(
    model: nn.Module,
    spec: ArchSpec,
    part: Split,
    classes: Sequence[str],
    where: torch.device,
    task: Task,
    roots: tuple[str, ...] = (),
    meter: Meter | None = None,
    views: Views = ONCE,
) -> Scores:
    """The model's results on a part of some data, whose labels count through `classes`, by the task's meter, or by `meter`.
    `roots` are the folders that its files lie in. Of a film it is the mean over `views` that counts."""
    prepare, batches, meter = (
        normaliser(spec, where),
        validation_batches(spec, part, views)(),
        meter or task.meter(classes),
    )

    def place(i: int) -> str | None:
        return placed(part.inputs.where(i), roots)

    if len(views) == 1:
        return evaluate(model.to(where), batches, meter, prepare=prepare, device=where, where=place)
    network = OverViews(model.to(where), prepare, task.activation)
    for batch, out in outputs(network, batches, prepare=nn.Identity(), device=where):
        meter.add(out, batch.one_view())
    return meter.scores("val", place)


def trained(run: RunFolder, spec: ArchSpec) -> Model:
    """The network of a run with its trained weights, in evaluation mode. Raises `UserError` where there are none yet."""
    model = build(spec, seed=0)
    load_weights(model, weights_of(run))
    return model.eval()


def record_of_weights(run: RunFolder, name: str, record: dict[str, Any]) -> None:
    """Write what was found of the run's trained weights, with their digest, by which it is known to be of them."""
    run.write(name, record | {"weights": _digest(weights_of(run))})


def is_of_weights(run: RunFolder, name: str) -> bool:
    """Whether the run's record `name` is there and of its trained weights as they are now.

    Versions before 0.2 wrote no digest, and let a run be exported before it was trained: theirs is believed unless it is
    older than the weights by more than a copy of the folder could make it.
    """
    if not run.has(name):
        return False
    weights = weights_of(run)
    digest = run.read(name).get("weights")
    if digest is not None:
        return bool(digest == _digest(weights))
    return run.file(name).stat().st_mtime > weights.stat().st_mtime - 1


def _digest(path: Path) -> str:
    """The first sixteen digits of the file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def refuse_misfit(label: str, model: nn.Module, shape: tuple[int, ...]) -> None:
    """Refuse, before any work, a live network that does not take images of `shape`; it is left as it was."""
    weight = next(model.parameters(), torch.zeros(()))
    if weight.dtype is not torch.float32:
        raise UserError(
            f"{label} has weights of {weight.dtype}, and images are float32 here: give it as `network.float()`"
        )
    where = weight.device
    try:
        with torch.inference_mode():
            copy.deepcopy(model).eval()(torch.zeros((2, *shape), device=where))
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        sides = "x".join(map(str, shape))
        raise UserError(f"{label} does not take images of {sides}: {first_line(error)}") from error


def samples_of(spec: ArchSpec, images: ImageData, n: int = 16) -> Tensor | tuple[Tensor, ...]:
    """The first validation images, normalised, on the CPU; of a generator as many draws of what it reads."""
    if spec.head.makes:
        return spec.example(n, seed=0)
    first = next(validation_batches(spec, images.val)())
    normalised: Tensor = normaliser(spec, torch.device("cpu"))(first.images[:n])
    return normalised


def task_of(config: Config) -> Task:
    """The task that a `config.json` says a run is of; without one it is a classification."""
    if config.task is None:
        return Classify()
    found: Task = from_data(Task, dict(config.task), TASKS, source="config.json's task")  # type: ignore[type-abstract]
    return found


def normaliser(spec: ArchSpec, where: torch.device) -> Normalise:
    """From bytes to what this network was made for, on a device."""
    return Normalise(spec.input.mean, spec.input.std).to(where)


def refuse_lone_images(spec: ArchSpec, recipe: Recipe, images: int, ranks: Ranks = ALONE) -> None:
    """Refuse, before any work, batches of which a part is one image where batch norm would be left with one number a channel.

    `images` are those to train on. Each process takes a part of every batch and cuts that into parts of its own; on GPUs
    batch norm sees all of them.
    """
    if recipe.frozen or (ranks.world > 1 and ranks.device.type == "cuda"):
        return
    whole, parts, world = min(recipe.batch, images), recipe.accumulate, ranks.world
    shares = {whole * (i + 1) // world - whole * i // world for i in range(world)}
    if not any(share * (i + 1) // parts - share * i // parts == 1 for share in shares for i in range(parts)):
        return
    try:
        with torch.no_grad():
            build(spec, seed=0)(*spec.example())
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        cut = " and ".join(f"{n} {what}" for n, what in ((world, "processes"), (parts, "parts")) if n > 1)
        raise UserError(
            f"a batch of {whole}{f', cut for {cut},' if cut else ''} leaves an image by itself, and the batch norm of {spec.name} "
            f"at {spec.input.resolution} px needs two: give a --batch of {2 * world * parts} or more, and as many images, a larger "
            "--resolution, or a network without batch norm"
        ) from None


def metadata_of(spec: ArchSpec, classes: Sequence[str] = (), task: Task | None = None) -> Metadata:
    """What an exported file of this network says of itself; `classes` are the names of its outputs, where they have some."""
    kind = spec.head.purpose if task is None else task.kind
    task, image = task or Classify(), spec.input
    return Metadata(
        image.sides,
        image.mean,
        image.std,
        tuple(classes),
        outputs=spec.head.puts_out,
        task=kind,
        activation="none" if spec.head.decides else task.activation,
        resize=WHOLE if spec.head.whole else RESIZE,
        view="whole" if spec.head.whole else "middle",
        bones=task.bones,
        frames=image.frames,
        stride=image.stride,
    )


def shape_of(spec: ArchSpec) -> tuple[int, ...]:
    """(C, H, W) of one image."""
    return spec.input.shape.dims
