"""A class for each image, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ..moves import Move
from .targets import Targets

__all__ = ["Labels", "ManyLabels"]


@dataclass(frozen=True, eq=False)
class Labels(Targets):
    """One class for each image: its number, int64 ⟨n⟩."""

    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Labels:
        return Labels(self.labels[indices])

    def joined(self, *others: Labels) -> Labels:
        return Labels(np.concatenate([self.labels, *(one.labels for one in others)]))

    def answers(self, indices: np.ndarray, moves: Sequence[Move] = (), sides: tuple[int, int] | None = None) -> Tensor:
        """int64 ⟨N⟩."""
        return torch.from_numpy(self.labels[indices])

    def to_bytes(self) -> bytes:
        return self.labels.tobytes()

    def counts(self, classes: int) -> np.ndarray:
        return np.bincount(self.labels, minlength=classes)

    def sound(self, names: tuple[str, ...], where: str, lost: str = "", what: str = "image") -> tuple[str, ...]:
        most = int(self.labels.max())
        if most >= (len(names) or len(self)):
            known = (
                f"only {len(names)} class names, numbered from 0"
                if names
                else f"only {len(self)} {what}s; number the classes from 0"
            )
            raise DataError(f"{where} has a label {most} but {known}")
        least = int(self.labels.min())
        if least > 0 and not names:
            raise DataError(
                f"{where} has labels from {least} to {most}: number the classes from 0, as by labels - {least}"
            )
        names = names or tuple(str(label) for label in range(most + 1))
        return _two_of_each(self, names, where, lost, what)

    def foreign(self, classes: tuple[str, ...]) -> str:
        most = int(self.labels.max())
        return "" if most < len(classes) else f"a label {most} but training has only {len(classes)} classes"

    def samples(self, names: tuple[str, ...], most: int) -> dict[str, np.ndarray]:
        return {name: np.flatnonzero(self.labels == label) for label, name in enumerate(names[:most])}

    def strata(self) -> list[np.ndarray]:
        """One group a class, up to the last that there is."""
        return [np.flatnonzero(self.labels == label) for label in range(int(self.labels.max()) + 1)]


@dataclass(frozen=True, eq=False)
class ManyLabels(Targets):
    """Any number of classes for each image: whether it is of each, bool ⟨n, classes⟩."""

    said: ClassVar[str] = "many labels an image"

    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> ManyLabels:
        return ManyLabels(self.labels[indices])

    def joined(self, *others: ManyLabels) -> ManyLabels:
        return ManyLabels(np.concatenate([self.labels, *(one.labels for one in others)]))

    def answers(self, indices: np.ndarray, moves: Sequence[Move] = (), sides: tuple[int, int] | None = None) -> Tensor:
        """float32 ⟨N, classes⟩ of 0 and 1."""
        return torch.from_numpy(self.labels[indices].astype(np.float32))

    def to_bytes(self) -> bytes:
        return f"{self.labels.shape}".encode() + np.packbits(self.labels).tobytes()

    def counts(self, classes: int) -> np.ndarray:
        return np.asarray(self.labels.sum(0, dtype=np.int64))

    def sound(self, names: tuple[str, ...], where: str, lost: str = "", what: str = "image") -> tuple[str, ...]:
        return _two_of_each(self, names, where, lost, what)

    def strata(self) -> list[np.ndarray]:
        """One group for each class, of the images of which it is the rarest; last, the images of no class.

        So a share of each group has about that share of the rare classes, where chance could leave none.
        """
        by_rarity = np.argsort(self.counts(self.labels.shape[1]), kind="stable")
        first = np.where(self.labels.any(1), self.labels[:, by_rarity].argmax(1), len(by_rarity))
        return [np.flatnonzero(first == rank) for rank in range(len(by_rarity) + 1)]


def _two_of_each(
    targets: Labels | ManyLabels, names: tuple[str, ...], where: str, lost: str, what: str
) -> tuple[str, ...]:
    """The names, once there are two or more, and two images or more of each."""
    if len(names) < 2:
        raise DataError(f"{where} has one class, '{names[0]}'; to tell classes apart there must be two or more")
    for name, n in zip(names, targets.counts(len(names)).tolist(), strict=True):
        if n < 2:
            raise DataError(
                f"class '{name}' of {where} has {f'one {what}' if n else f'no {what}s'}{lost}; "
                "give it two or more, or leave the class out"
            )
    return names
