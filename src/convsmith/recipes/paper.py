"""What a recipe's paper did that a run here may not do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ..recipe import Recipe

__all__ = ["CROPS", "IMAGENET", "RESIZED", "SELECTED", "WARMED", "Paper"]

IMAGENET = 1_281_167  # training images of ILSVRC 2012

# What holds for several papers.
CROPS = "a random crop is drawn once, its aspect from those that fit; the paper's code draws ten times and then takes the middle"
RESIZED = "images are resized bilinearly with antialiasing, the paper's bicubically"
WARMED = "the warm-up begins above 0 and meets the peak at its last step, one step before the paper's code"
SELECTED = "the last epoch's weights are shipped; the paper held training images out to choose an epoch by"


@final
@dataclass(frozen=True)
class Paper:
    """A recipe, the published run that it stands for, and what differs however it is run here (`notes`)."""

    recipe: Recipe
    source: str
    batch: int
    images: int = IMAGENET
    notes: tuple[str, ...] = ()
