"""What should come out, for each image: of any task."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
import torch

from ..moves import Move

__all__ = ["Answers", "Targets"]


class Answers(Protocol):
    """What should come out for the images of one batch: all that who trains asks of it. A tensor will do."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> Self: ...
    def to(self, device: torch.device, /) -> Self: ...


@dataclass(frozen=True, eq=False)
class Targets(ABC):
    """A sequence of what should come out, one for each image. `moved`: whether it lies somewhere in the picture, and goes
    where the picture's pixels go."""

    moved: ClassVar[bool] = False
    said: ClassVar[str] = "labels"  # what data has that has such
    sought: ClassVar[str] = "gives each image classes"  # what a network does that is trained on such
    names: ClassVar[tuple[str, str]] = ("class", "classes")  # what its names are of, one and several

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, indices: np.ndarray) -> Self:
        """Those at `indices`, in that order."""

    @abstractmethod
    def joined(self, *others: Self) -> Self:
        """These, and behind them those of `others`."""

    @abstractmethod
    def answers(self, indices: np.ndarray, moves: Sequence[Move], sides: tuple[int, int] | None = None) -> Answers:
        """Those at `indices` as a batch. `moves` has one for each image, or none at all where the targets are not `moved`;
        `sides` are the height and the width of what is shown, None where nothing is cut off."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """What a fingerprint of the data is made of: other bytes whenever one of them is another."""

    def digest(self) -> str:
        """Sixteen digits that change when one of them does."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:16]

    @property
    def mirrors(self) -> bool:
        """Whether a mirrored image has targets that are known."""
        return True

    def sound(self, names: tuple[str, ...], where: str, lost: str = "", what: str = "image") -> tuple[str, ...]:
        """The names of the classes, once these are known to be enough to train on. `lost` is what is said of images that could
        not be read, `what` they are called.

        Raises:
            DataError: they are not, and why.
        """
        return names

    def foreign(self, classes: tuple[str, ...]) -> str:
        """What is wrong with these for a network that was trained with such classes; empty where nothing is."""
        return ""

    def oddities(self) -> tuple[str, ...]:
        """What who trains on them should know."""
        return ()

    def outside(self, sizes: np.ndarray) -> tuple[str, ...]:
        """What who trains on them should know of pictures of these heights and widths ⟨n,2⟩."""
        return ()

    def samples(self, names: tuple[str, ...], most: int) -> dict[str, np.ndarray]:
        """The indices of what belongs together, by what it is called, for a page that shows some of each."""
        return {}

    def counts(self, classes: int) -> np.ndarray:
        """How many images there are of each class, int64 ⟨classes⟩; empty where the targets are no classes."""
        return np.zeros(0, np.int64)

    def strata(self) -> list[np.ndarray]:
        """The groups, as indices, of which a part that is set aside takes the same share: here, all in one."""
        return [np.arange(len(self))]
