"""What a run here does otherwise than the paper whose recipe it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..arch import ArchSpec
from ..codec import to_data
from ..recipe import AutoAugment, Exponential, Keep, RandAugment, Recipe
from ..units import human, plural
from .paper import SELECTED, Paper
from .papers import PAPERS
from .settling import settle

__all__ = ["differences", "flat"]


def differences(recipe: Recipe, spec: ArchSpec, *, images: int, papers: Sequence[Paper] = PAPERS) -> list[str]:
    """One line for each thing that `recipe`, run for `spec` on `images` training images, does not do as its paper did.

    First what the user has changed, then what follows from the size of the run, then what this package does otherwise
    whatever it is asked. None for a recipe that stands for no paper.
    """
    paper = next((paper for paper in papers if paper.recipe.name == recipe.name), None)
    if paper is None:
        return []
    ours, theirs = settle(recipe, spec), settle(paper.recipe, spec)
    notes = (note for note in paper.notes if note != SELECTED or ours.keep is not Keep.BEST)
    return [*_changed(ours, theirs), *_smaller(ours, paper, spec, images), *notes]


def _changed(ours: Recipe, theirs: Recipe) -> Iterator[str]:
    mine, known = (dict(flat(to_data(one, whole=True))) for one in (ours, theirs))
    for name in [*known, *(name for name in mine if name not in known)]:
        if name == "batch":
            continue  # it has a line of its own, against the paper's
        if mine.get(name) != known.get(name):
            yield f"{name}: {_said(mine, name)} instead of {_said(known, name)}"


def _smaller(recipe: Recipe, paper: Paper, spec: ArchSpec, images: int) -> Iterator[str]:
    if recipe.batch != paper.batch:
        yield (
            f"batches of {plural(recipe.batch, 'image')} instead of {paper.batch}; the rate is scaled with them, "
            f"{recipe.rate * recipe.batch / 256:.4g} instead of {paper.recipe.rate * paper.batch / 256:.4g}"
        )
    per_epoch = max(1, images // recipe.batch)
    steps = recipe.epochs * per_epoch
    published = paper.recipe.epochs * max(1, paper.images // paper.batch)
    if images != paper.images:
        yield (
            f"{images:,} training images instead of {paper.images:,}: {human(steps)} steps instead of {human(published)}, "
            f"{human(steps * recipe.batch)} images seen instead of {human(published * paper.batch)}"
        )
    if recipe.warmup >= recipe.epochs:
        yield f"a warm-up of {recipe.warmup:g} epochs takes all of the {recipe.epochs}: --set warmup={recipe.epochs / 20:g}"
    if isinstance(recipe.schedule, Exponential):
        schedule = recipe.schedule
        final = schedule.share(steps - 1, steps=steps, warmup=round(recipe.warmup * per_epoch), per_epoch=per_epoch)
        if final > 0.1:
            every = schedule.every * recipe.epochs / paper.recipe.epochs
            yield (
                f"the rate ends at {final:.0%} of its peak, for it falls by the epoch and these are few: "
                f"--set schedule.every={every:.3g} gives the curve of {paper.recipe.epochs} epochs"
            )
    eased, reached = (min(recipe.average, (1 + n) / (10 + n)) for n in (steps, published))
    if eased < reached:
        yield f"the average is eased in: its decay gets to {eased:.4g}, in the paper's run to {reached:.5g}"
    policy, side = recipe.augment.policy, spec.input.resolution
    if isinstance(policy, RandAugment | AutoAugment) and policy.pixels_at and policy.pixels_at != side:
        yield (
            f"translations and cut-outs are {side / policy.pixels_at:.2g} of the paper's pixels, as {side} to "
            f"{policy.pixels_at} pixels a side: --set augment.policy.pixels_at=0 takes the same pixels"
        )


def flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a recipe's data as --set names it, `optimiser.momentum`, with its value."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _said(flat: dict[str, Any], name: str) -> str:
    value = flat.get(name, "none")
    return f"[{', '.join(f'{item:g}' for item in value)}]" if isinstance(value, list) else str(value)
