"""Class names of one part of the data, in the numbers of another's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import DataError, nearest
from ..split import Split
from ..targets import Labels, ManyLabels

__all__ = ["renumbered"]


def renumbered(val: Split, names: tuple[str, ...], classes: tuple[str, ...], where: str) -> Split:
    """`val`, whose labels count through `names`, with labels that count through `classes`."""
    targets = val.targets
    if isinstance(targets, Labels) and len(val) and targets.labels.max() >= len(names):
        raise DataError(f"{where} has a label {targets.labels.max()} but names only {len(names)} classes")
    for name in names:
        if name not in classes:
            raise DataError(
                f"class '{name}' of {where} is not among the {len(classes)} training classes{nearest(name, classes)}"
            )
    numbers = np.array([classes.index(name) for name in names], np.int64)
    match targets:
        case Labels(labels=labels):
            return replace(val, targets=Labels(numbers[labels]))
        case ManyLabels(labels=labels):
            wide = np.zeros((len(labels), len(classes)), bool)
            wide[:, numbers] = labels
            return replace(val, targets=ManyLabels(wide))
        case _:
            return val
