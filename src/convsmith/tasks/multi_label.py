"""Any number of labels an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..arch import ArchSpec
from ..evals.many import ManyRight
from ..recipe import Recipe
from ..training import Loss, Network
from .classify import classifying, refuse_weights
from .mixing import grown_to, mixed
from .task import Task

__all__ = ["MultiLabel"]


@final
@dataclass(frozen=True)
class MultiLabel(Task):
    """Binary cross-entropy of each label by itself. Answers are float ⟨N,classes⟩ of 0 and 1, outputs logits of the same
    shape; a label is given where its logit is above 0.

    Smoothing draws answers towards a half; of mixed images the answers are mixed as well. `weights` are one for each class:
    what a missed label of it costs, over one that is given wrongly.
    """

    kind: ClassVar[str] = "multi-label"
    headline: ClassVar[str] = "map"
    running: ClassVar[str] = "right"
    activation: ClassVar[str] = "sigmoid"
    uses: ClassVar[frozenset[str]] = frozenset({"smoothing", "mixup", "cutmix", "first_side"})

    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        refuse_weights(self.weights)

    def fitted(self, spec: ArchSpec, names: Sequence[str]) -> ArchSpec:
        refuse_weights(self.weights, len(names))
        return classifying(spec, len(names))

    def shown(self, images: Tensor, answers: Tensor, recipe: Recipe, epoch: int) -> tuple[Tensor, Tensor]:
        images = grown_to(images, recipe, epoch)
        if not (recipe.mixup or recipe.cutmix):
            return images, answers
        images, own = mixed(images, mixup=recipe.mixup, cutmix=recipe.cutmix)
        return images, torch.lerp(answers.flip(0), answers, own[:, None])

    def loss(self, network: Network, images: Tensor, answers: Tensor, recipe: Recipe) -> Loss[Tensor]:
        logits: Tensor = network(images).float()
        towards = torch.lerp(answers, torch.full_like(answers, 0.5), recipe.smoothing)
        weights = torch.tensor(self.weights, device=logits.device) if self.weights else None
        loss = F.binary_cross_entropy_with_logits(logits, towards, pos_weight=weights)
        right = ((logits.detach() > 0) == (answers > 0.5)).float().mean(1).sum()
        return Loss(logits, loss, right)

    def distilled(self, student: Tensor, teacher: Tensor) -> Tensor:
        student = student if student.dtype == torch.float64 else student.float()
        return F.binary_cross_entropy_with_logits(student, teacher.sigmoid())

    def meter(self, names: Sequence[str], *, pictures: int = 24) -> ManyRight:
        return ManyRight(names, intervals=pictures > 0)

    def chance(self, names: Sequence[str]) -> float:
        """log 2: every label as likely as not."""
        return math.log(2)
