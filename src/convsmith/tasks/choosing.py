"""Which task data asks for, and what the classes of its images weigh."""

from __future__ import annotations

import numpy as np

from ..data import ImageData, Labels, ManyLabels, Targets
from ..errors import DataError, UserError
from .classify import Classify
from .multi_label import MultiLabel
from .task import Task

__all__ = ["BALANCED", "targets_for", "task_for"]

BALANCED = "balanced"

# The task of each kind of targets: what a new kind of targets adds here.
_OF: dict[type[Targets], type[Classify] | type[MultiLabel]] = {Labels: Classify, ManyLabels: MultiLabel}


def task_for(images: ImageData, class_weights: str = "") -> Task:
    """The task that these targets are of.

    `class_weights` is `balanced`, which gives every class the same say however many images it has, or a number for each
    class in their order, joined by commas. Balanced, a class with m of n images weighs n / (classes m); where images have many
    labels, a label that m of n images have weighs (n - m) / m over its absence.

    Raises:
        UserError: no such weights. DataError: targets that no task is of.
    """
    kind = _OF.get(type(images.train.targets))
    if kind is None:
        raise DataError(f"{images.name} has {type(images.train.targets).__name__}, which no task is of")
    if not class_weights:
        return kind()
    if class_weights != BALANCED:
        return _built(kind, _numbers(class_weights, images.classes))
    counts, n = images.counts[0].astype(float), len(images.train)
    weights = n / (len(counts) * counts) if kind is Classify else (n - counts) / np.maximum(counts, 1)
    return _built(kind, tuple(round(float(weight), 6) for weight in weights))


def targets_for(task: Task) -> type[Targets]:
    """The kind of targets that a task is of."""
    return next(targets for targets, kind in _OF.items() if isinstance(task, kind))


def _built(kind: type[Classify] | type[MultiLabel], weights: tuple[float, ...]) -> Task:
    try:
        return kind(weights=weights)
    except ValueError as error:
        raise UserError(f"--class-weights: {error}") from None


def _numbers(text: str, classes: tuple[str, ...]) -> tuple[float, ...]:
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"--class-weights is '{text}'; give {BALANCED}, or a number for each class: 1,2,0.5") from None
    if len(weights) != len(classes):
        raise UserError(f"--class-weights has {len(weights)} numbers for {len(classes)} classes: {', '.join(classes)}")
    return weights
