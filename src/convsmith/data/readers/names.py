"""Class names of one part of the data, in the numbers of another's."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import DataError, nearest
from ..split import Split
from ..targets import Joints, Labels, ManyLabels, Objects

__all__ = ["listed", "matched", "renumbered", "worded"]


def worded(name: str | bytes) -> str:
    """A name from outside as text that can be written anywhere: UTF-8, or Latin-1 where it is not that; what would steer a
    terminal is spelt out, a line feed as `\\n`."""
    data = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return "".join(_spelt(one) for one in text)


def _spelt(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii") if unicodedata.category(one) == "Cc" else one


def renumbered(split: Split, names: tuple[str, ...], classes: tuple[str, ...], where: str) -> Split:
    """`split`, whose labels count through `names`, with labels that count through the training `classes`."""
    _refuse_beyond(split, names, where)
    for name in names:
        if name not in classes:
            what, whole = split.targets.names
            raise DataError(
                f"{what} '{name}' of {where} is not among the {len(classes)} training {whole}{nearest(name, classes)}"
            )
    return _numbered(split, names, classes)


def matched(split: Split, names: tuple[str, ...], classes: tuple[str, ...], where: str) -> Split:
    """`split` with labels that count through the `classes` of a network: by name, or in their order where the labels are
    numbers and the classes are not.

    Names of which there is no image are passed over, as are body parts that the network does not know while it knows another.
    Raises DataError that names the classes which the network does not know.
    """
    present = split.targets.counts(len(names)) > 0
    if not names:
        numbered = all(name.isdecimal() for name in classes)
        first = () if numbered else classes
        names = (*first, *map(str, range(len(first), len(present))))
    _refuse_beyond(split, names, where)
    if split.targets.moved and set(names) & set(classes):
        return _numbered(split, names, classes)
    unknown = [name for name, some in zip(names, present, strict=False) if some and name not in classes]
    if unknown:
        raise DataError(
            f"{where} has images of {listed(unknown)}, which the network was not trained on; it knows {listed(classes)}"
            f"{nearest(unknown[0], classes)}"
        )
    return _numbered(split, names, classes)


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(f"'{name}'" for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _refuse_beyond(split: Split, names: tuple[str, ...], where: str) -> None:
    most = len(split.targets.counts(len(names))) - 1
    if most >= len(names):
        raise DataError(f"{where} has a label {most} but names only {len(names)} classes")


def _numbered(split: Split, names: tuple[str, ...], classes: tuple[str, ...]) -> Split:
    """Labels that count through `names` as labels that count through `classes`; those that stand there not are not used."""
    numbers = np.array([classes.index(name) if name in classes else 0 for name in names], np.int64)
    match split.targets:
        case Labels(labels=labels):
            return replace(split, targets=Labels(numbers[labels]))
        case ManyLabels(labels=labels):
            wide = np.zeros((len(labels), len(classes)), bool)
            known = [k for k, name in enumerate(names) if name in classes]
            wide[:, numbers[known]] = labels[:, known]
            return replace(split, targets=ManyLabels(wide))
        case Joints():
            return replace(split, targets=split.targets.in_order(classes))
        case Objects():
            return replace(split, targets=split.targets.in_order(names, classes))
        case _:
            return split
