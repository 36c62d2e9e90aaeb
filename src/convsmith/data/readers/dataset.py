"""A dataset of the user's own: what its items are labelled with, read once; its images are left to be read when needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from ...errors import DataError, nearest
from ..images import Skipped
from ..inputs import Items, MapStyle
from ..inputs.items import image_and_label, name_of
from ..split import Split
from ..targets import Labels, ManyLabels, Targets
from .names import worded
from .parts import Part

__all__ = ["Own", "described", "own_data", "parts_of", "read_dataset"]

Own = MapStyle | tuple[MapStyle, MapStyle]

# Of more items than this that say their labels by themselves, not every image is looked at, but these many.
_ALL, _SAMPLE = 50_000, 256


def own_data(data: object) -> Own | None:
    """A dataset, or a pair of them (train, val), as opposed to what is named by a text or a path."""
    match data:
        case str():
            return None
        case (MapStyle() as train, MapStyle() as val) if isinstance(data, tuple):
            return train, val
        case MapStyle():
            return data
    return None


def parts_of(data: Own) -> tuple[MapStyle, MapStyle | None]:
    """What to train on, and what to validate on where that was given."""
    return data if isinstance(data, tuple) else (data, None)


def described(data: Own) -> str:
    """What a run folder says of it."""
    train, val = parts_of(data)
    sizes = f"{len(train)}" if val is None else f"{len(train)} + {len(val)}"
    return f"Dataset({name_of(train)}, {sizes} images)"


def read_dataset(dataset: MapStyle, progress: Callable[[int], None], classes: tuple[str, ...] = ()) -> Part:
    """The labels of a dataset, and which of its items can be read. Where it has no names of its own, numbers
    stand for `classes`.

    Raises:
        DataError: it is empty, its items are no (image, label), or labels are missing or of several kinds.
    """
    n, name = len(dataset), name_of(dataset)
    if n == 0:
        raise DataError(f"{name} has no items")
    steady, first = _first(dataset)
    labels = _declared(dataset, first)
    looked = range(n) if labels is None or n <= _ALL else np.linspace(0, n - 1, _SAMPLE).astype(int).tolist()
    found: dict[int, Any] = {}
    lost: dict[int, str] = {}
    for done, i in enumerate(looked, 1):
        try:
            found[i] = image_and_label(dataset, i)[1]
        except OSError as error:
            lost[i] = str(error) or type(error).__name__
        progress(done)
    progress(n)
    kept = [i for i in range(n) if i not in lost]
    if not kept:
        raise DataError(f"of {name}'s {n} items none can be read; the first: {lost[min(lost)]}")
    given = [labels[i] if labels is not None else found[i] for i in kept]
    targets, classes = _targets(given, kept, _classes(dataset), classes, name)
    skipped = tuple(Skipped(f"item {i} of {name}", why) for i, why in lost.items())
    notes = () if steady else (
        f"{name} gives the same item another way each time it is read: what is random in it is outside the seed, so that a "
        "run cannot be repeated, or resumed, bit for bit",
    )  # fmt: skip
    split = Split(Items(dataset, np.array(kept, np.int64), steady), targets)
    return Part(split, classes, skipped=skipped, notes=notes)


def _first(dataset: MapStyle) -> tuple[bool, tuple[int, Any] | None]:
    """Whether the first item that can be read is the same when it is read again; its number and its label."""
    for i in range(len(dataset)):
        try:
            (one, label), (other, _) = image_and_label(dataset, i), image_and_label(dataset, i)
        except OSError:
            continue
        return bool(np.array_equal(one, other)), (i, label)
    return True, None


# ---- labels and their names ------------------------------------------------------------------------------------------


@runtime_checkable
class _WithTargets(Protocol):
    targets: Any


@runtime_checkable
class _WithLabels(Protocol):
    labels: Any


@runtime_checkable
class _WithClasses(Protocol):
    classes: Any


@runtime_checkable
class _WithFeatures(Protocol):
    features: Any  # of a Hugging Face set: "label" is a ClassLabel, with names


@runtime_checkable
class _WithNames(Protocol):
    names: Any


def _declared(dataset: MapStyle, first: tuple[int, Any] | None) -> Sequence[Any] | None:
    """The labels as the dataset lists them, if it does and an item agrees with them."""
    listed = dataset.targets if isinstance(dataset, _WithTargets) else None
    if listed is None and isinstance(dataset, _WithLabels):
        listed = dataset.labels
    listed = list(listed) if isinstance(listed, Tensor | np.ndarray) else listed
    if first is None or not isinstance(listed, list | tuple) or len(listed) != len(dataset):
        return None
    i, label = first
    return listed if _plain(listed[i]) == _plain(label) else None


def _classes(dataset: MapStyle) -> tuple[str, ...]:
    named = dataset.classes if isinstance(dataset, _WithClasses) else None
    if named is None and isinstance(dataset, _WithFeatures) and isinstance(dataset.features, Mapping):
        label = dataset.features.get("label")
        named = label.names if isinstance(label, _WithNames) else None
    if not isinstance(named, list | tuple):
        return ()
    classes = tuple(worded(str(name)) for name in named)
    if len(set(classes)) < len(classes):
        raise DataError(f"{name_of(dataset)}.classes names a class twice")
    return classes


@dataclass(frozen=True)
class _Flags:
    """A label that has a value for each class: an array or a tensor, as opposed to a list of classes."""

    of: tuple[Any, ...]


def _plain(label: Any) -> Any:
    """What is labelled with: an int, a text, a list of these, or flags; anything else as it is."""
    match label:
        case str():
            return worded(label)
        case Tensor() | np.ndarray():
            values = label.reshape(-1).tolist()
            return values[0] if len(values) == 1 else _Flags(tuple(values))
        case np.generic():
            return label.item()
        case list() | tuple() | set() | frozenset():
            return [_plain(one) for one in label]
        case _:
            return label


def _targets(
    given: Sequence[Any], numbers: Sequence[int], named: tuple[str, ...], otherwise: tuple[str, ...], name: str
) -> tuple[Targets, tuple[str, ...]]:
    """What `given` items of these numbers are labelled with, and the names of the classes as far as there are any: the
    dataset's own, else those that it is labelled with, else `otherwise`."""
    labels = [_plain(label) for label in given]
    if any(isinstance(label, _Flags) for label in labels):
        return _flagged(labels, numbers, named or otherwise, name)
    several = any(isinstance(label, list) for label in labels)
    lists = [label if isinstance(label, list) else [label] for label in labels]
    words = any(isinstance(one, str) for label in lists for one in label)
    classes = named or (tuple(sorted({str(one) for label in lists for one in label})) if words else otherwise)
    known = {word: k for k, word in enumerate(classes)}

    def number(one: Any, at: int) -> int:
        where = f"the label of item {numbers[at]} of {name}"
        if words:
            if not isinstance(one, str):
                raise DataError(f"{where} is {one!r}, and others are names")
            if one not in known:
                raise DataError(f"{where} is '{one}', which is none of its classes{nearest(one, classes)}")
            return known[one]
        if not isinstance(one, int) or one < 0:
            raise DataError(
                f"{where} is {one!r}; give a class's number, counted from 0, or its name, or a list of them"
            )
        return int(one)

    found = [[number(one, at) for one in label] for at, label in enumerate(lists)]
    if not several:
        return Labels(np.array([label[0] for label in found], np.int64)), classes
    most = max((max(label) for label in found if label), default=-1)
    if not classes:
        classes = tuple(str(k) for k in range(most + 1))
    if most >= len(classes):
        raise DataError(f"{name} has a label {most} but only {len(classes)} class names")
    many = np.zeros((len(found), len(classes)), bool)
    for row, label in zip(many, found, strict=True):
        row[label] = True
    return ManyLabels(many), classes


def _flagged(
    labels: Sequence[Any], numbers: Sequence[int], classes: tuple[str, ...], name: str
) -> tuple[Targets, tuple[str, ...]]:
    width = len(classes) or next(len(label.of) for label in labels if isinstance(label, _Flags))
    for i, label in zip(numbers, labels, strict=True):
        if not isinstance(label, _Flags) or len(label.of) != width or not set(label.of) <= {0, 1}:
            raise DataError(
                f"the label of item {i} of {name} is no row of {width} values, each 0 or 1: as an array it says of each "
                "class whether the image is of it; numbers of classes come as a list"
            )
    return ManyLabels(np.array([label.of for label in labels], bool)), classes or tuple(map(str, range(width)))
