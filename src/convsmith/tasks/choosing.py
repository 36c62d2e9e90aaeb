"""Which task data asks for, and what the classes of its images weigh."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..data import ImageData, Joints, Labels, ManyLabels, Targets
from ..errors import DataError, UserError
from .classify import Classify
from .multi_label import MultiLabel
from .pose import Pose
from .task import Task

__all__ = ["BALANCED", "targets_for", "task_for"]

BALANCED = "balanced"


class _Made(NamedTuple):
    """The task of one kind of targets, and how it is made for data and for what the classes weigh."""

    kind: type[Task]
    made: Callable[[ImageData, str], Task]


def _classify(images: ImageData, weights: str) -> Task:
    counts, n = images.counts[0].astype(float), len(images.train)
    return _weighed(Classify, images, weights, lambda: n / (len(counts) * counts))


def _many(images: ImageData, weights: str) -> Task:
    counts, n = images.counts[0].astype(float), len(images.train)
    return _weighed(MultiLabel, images, weights, lambda: (n - counts) / np.maximum(counts, 1))


def _pose(images: ImageData, weights: str) -> Task:
    if weights:
        raise UserError(f"--class-weights weighs classes, and {images.name} has none: it has joints")
    assert isinstance(images.train.targets, Joints)
    return Pose(body=images.train.targets.body)


# What a new kind of targets adds here.
_OF: dict[type[Targets], _Made] = {
    Labels: _Made(Classify, _classify),
    ManyLabels: _Made(MultiLabel, _many),
    Joints: _Made(Pose, _pose),
}


def task_for(images: ImageData, class_weights: str = "") -> Task:
    """The task that these targets are of.

    `class_weights` is `balanced`, which gives every class the same say however many images it has, or a number for each
    class in their order, joined by commas. Balanced, a class with m of n images weighs n / (classes m); where images have many
    labels, a label that m of n images have weighs (n - m) / m over its absence.

    Raises:
        UserError: no such weights, or weights where there are no classes. DataError: targets that no task is of.
    """
    found = _OF.get(type(images.train.targets))
    if found is None:
        raise DataError(f"{images.name} has {type(images.train.targets).__name__}, which no task is of")
    return found.made(images, class_weights)


def targets_for(task: Task) -> type[Targets]:
    """The kind of targets that a task is of."""
    return next(targets for targets, one in _OF.items() if isinstance(task, one.kind))


def _weighed(
    kind: type[Classify] | type[MultiLabel], images: ImageData, text: str, balanced: Callable[[], np.ndarray]
) -> Task:
    if not text:
        return kind()
    weights = balanced().round(6).tolist() if text == BALANCED else _numbers(text, images.classes)
    try:
        return kind(weights=tuple(weights))
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
