"""One label an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..arch import ArchSpec
from ..errors import UserError
from ..evals import Top1
from ..recipe import Recipe
from ..training import Loss, Network
from .mixing import Mixed, grown_to, mixed, mixed_loss
from .task import Task

__all__ = ["Classify", "classifying", "refuse_weights"]


@final
@dataclass(frozen=True)
class Classify(Task):
    """Cross-entropy with smoothed labels, of plain images or of mixed ones. Answers are int64 ⟨N⟩, outputs logits
    ⟨N,classes⟩, the running score is right answers.

    `weights` are one for each class: an image's loss counts that of its class, divided by the mean over the batch.
    """

    kind: ClassVar[str] = "classify"
    headline: ClassVar[str] = "top1"
    running: ClassVar[str] = "top1"
    uses: ClassVar[frozenset[str]] = frozenset({"smoothing", "mixup", "cutmix", "first_side"})

    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        refuse_weights(self.weights)

    def fitted(self, spec: ArchSpec, names: Sequence[str]) -> ArchSpec:
        refuse_weights(self.weights, len(names))
        return classifying(spec, len(names))

    def shown(self, images: Tensor, answers: Tensor, recipe: Recipe, epoch: int) -> tuple[Tensor, Tensor | Mixed]:
        images = grown_to(images, recipe, epoch)
        if not (recipe.mixup or recipe.cutmix):
            return images, answers
        images, own = mixed(images, mixup=recipe.mixup, cutmix=recipe.cutmix)
        return images, Mixed(answers, own)

    def loss(self, network: Network, images: Tensor, answers: Tensor | Mixed, recipe: Recipe) -> Loss[Tensor]:
        logits: Tensor = network(images).float()
        labels, own = (answers.labels, answers.own) if isinstance(answers, Mixed) else (answers, None)
        weights = torch.tensor(self.weights, device=logits.device) if self.weights else None
        loss = mixed_loss(logits, labels, own, smoothing=recipe.smoothing, weights=weights)
        return Loss(logits, loss, (logits.detach().argmax(1) == labels).sum())

    def distilled(self, student: Tensor, teacher: Tensor) -> Tensor:
        """-mean over images of sum p log softmax(student), p = softmax(teacher), at temperature 1, in single precision or
        better."""
        student = student if student.dtype == torch.float64 else student.float()
        return -(teacher.softmax(1) * student.log_softmax(1)).sum(1).mean()

    def meter(self, names: Sequence[str], *, pictures: int = 24) -> Top1:
        return Top1(names, pictures=pictures)

    def chance(self, names: Sequence[str]) -> float:
        """log(classes): every class as likely as any other."""
        return math.log(max(2, len(names)))


def classifying(spec: ArchSpec, classes: int) -> ArchSpec:
    """`spec` with as many outputs as there are classes. Raises `UserError` where its head finds objects or points."""
    if spec.head.purpose != "classify":
        raise UserError(
            f"{spec.name} ends in {spec.head.describe()}, and the data has labels for whole images: give a classifier, or the data "
            f"of task '{spec.head.purpose}'"
        )
    return spec.with_classes(classes)


def refuse_weights(weights: Sequence[float], classes: int | None = None) -> None:
    """Raise `ValueError` where weights of classes are not above 0, or not as many as there are `classes`."""
    if any(not (weight > 0 and math.isfinite(weight)) for weight in weights):
        raise ValueError(f"weights of classes are above 0; got {tuple(weights)}")
    if weights and classes is not None and len(weights) != classes:
        raise ValueError(f"there are {len(weights)} weights for {classes} classes")
