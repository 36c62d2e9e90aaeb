"""Which task data asks for, and what the classes of its images weigh."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..codec import from_data, to_data
from ..data import ImageData, Joints, Labels, ManyLabels, Objects, Targets
from ..errors import DataError, UserError, nearest
from ..settings import TASKS_OWN, parted
from .classify import Classify
from .detect import Detect
from .multi_label import MultiLabel
from .pose import Pose
from .synthesise import Synthesise
from .task import Task

__all__ = ["BALANCED", "refuse_task_settings", "targets_for", "task_for"]

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


def _detect(images: ImageData, weights: str) -> Task:
    if weights:
        raise UserError(f"--class-weights weighs labels of whole images, and {images.name} has objects in them")
    assert isinstance(images.train.targets, Objects)
    return Detect(masks=images.train.targets.masked)


def _synthesise(images: ImageData, weights: str) -> Task:
    if weights:
        raise UserError("--class-weights weighs classes in a classifier's loss, and a generator has none")
    return Synthesise()


# What a new kind of targets adds here.
_OF: dict[type[Targets], _Made] = {
    Labels: _Made(Classify, _classify),
    ManyLabels: _Made(MultiLabel, _many),
    Joints: _Made(Pose, _pose),
    Objects: _Made(Detect, _detect),
}
# Tasks that targets do not ask for by themselves, by the word that does.
_BY_WORD: dict[tuple[str, type[Targets]], _Made] = {(Synthesise.kind, Labels): _Made(Synthesise, _synthesise)}


def task_for(
    images: ImageData, class_weights: str = "", settings: Sequence[str] = (), *, word: str | None = None
) -> Task:
    """The task that these targets are of, with its fields as `settings` say, `"task.radius=12"`; or the one that a `word` asks of
    them: images of classes can be told apart, or made.

    `class_weights` is `balanced`, which gives every class the same say however many images it has, or a number for each
    class in their order, joined by commas. Balanced, a class with m of n images weighs n / (classes m); where images have many
    labels, a label that m of n images have weighs (n - m) / m over its absence.

    Raises:
        UserError: no such weights, or weights where there are no classes; no such field, or no value for it. DataError: targets
            that no task is of.
    """
    kind = type(images.train.targets)
    found = _BY_WORD.get((word or "", kind)) or _OF.get(kind)
    if word == Synthesise.kind and found is not None and found.kind is not Synthesise:
        raise DataError(
            f"--task {word}: {images.name} has {images.train.targets.said}, and a generator learns from one class an image"
        )
    if found is None:
        raise DataError(f"{images.name} has {type(images.train.targets).__name__}, which no task is of")
    return _changed(found.made(images, class_weights), settings)


def refuse_task_settings(settings: Sequence[str]) -> None:
    """Raise `UserError` where no task has such a field: what can be told before the data is known."""
    every = {name for one in (*_OF.values(), *_BY_WORD.values()) for name in one.kind.settable()}
    for setting in settings:
        _refuse_unknown(setting, every, "the fields of tasks are")


def _changed(task: Task, settings: Sequence[str]) -> Task:
    data: dict[str, Any] = to_data(task)
    known = type(task).settable()
    for setting in settings:
        if not known:
            raise UserError(
                f"--set {setting}: a task '{task.kind}' has nothing to set; what its classes weigh is --class-weights"
            )
        name = _refuse_unknown(setting, known, f"the fields of task '{task.kind}' are")
        data[name] = parted(setting)[1]
    if not settings:
        return task
    kind = type(task)
    try:
        return from_data(kind, data, (kind,), source="--set")
    except UserError as error:
        wrong = str(error).removeprefix(f"--set is not a valid {kind.__name__}:").strip()
        raise UserError(f"--set {' '.join(settings)}: {wrong}") from None


def _refuse_unknown(setting: str, known: Iterable[str], said: str) -> str:
    """The field that a setting names, where it is one of those known."""
    name = parted(setting)[0].removeprefix(TASKS_OWN)
    if name not in known:
        raise UserError(f"--set {setting}: {said} {', '.join(sorted(known))}{nearest(name, known)}")
    return name


def targets_for(task: Task) -> type[Targets]:
    """The kind of targets that a task is of."""
    named = ((targets, one) for (_, targets), one in _BY_WORD.items())
    return next(targets for targets, one in (*_OF.items(), *named) if isinstance(task, one.kind))


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
