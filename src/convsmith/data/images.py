"""What loading makes of data: images that are known to be fit for training, and how they came to be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .cache import Cache
from .split import Split
from .targets import Joints, Objects

__all__ = ["ImageData", "Skipped", "placed", "roots_of"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that was left out, and why."""

    path: str
    why: str


def roots_of(*places: object) -> tuple[str, ...]:
    """The folders that the files of these paths lie in; what is no path, or is not there, has none."""
    paths = [Path(place).expanduser().absolute() for place in places if isinstance(place, str | Path)]
    return tuple(str(path if path.is_dir() else path.parent) for path in paths if path.exists())


def placed(path: str | None, roots: tuple[str, ...]) -> str | None:
    """Where a file lies within its data, below one of `roots`, as it is told to others; of one that lies elsewhere its folder
    and its name.

    What a run keeps is mailed and moved: it names no folder of the machine above the data.
    """
    if path is None or not (os.path.isabs(path) or os.path.lexists(path)):
        return path
    whole = Path(path).absolute()
    root = next((root for root in roots if whole.is_relative_to(root)), whole.parent.parent)
    return whole.relative_to(root).as_posix()


@dataclass(frozen=True, eq=False, slots=True)
class ImageData:
    """Images to train on and to validate on, with what should come of them.

    `split_note` says in a sentence how the validation part was made; `divided`, that it was set aside from the images to
    train on. `mirror` is False where a mirrored image is not of its class, as with digits. `cache` is what training reads
    instead of the images to train on, where that was asked for. `notes` are what who trains on it should know. `roots` are the
    folders that its files lie in. `test` is how many images of a test part are kept from training.
    `sides` are the median height and width of pictures that are shown whole, since what is looked for may lie anywhere in
    them; None where their middle is shown.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    split_note: str
    skipped: tuple[Skipped, ...] = ()
    mirror: bool = True
    divided: bool = False
    cache: Cache | None = None
    notes: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    test: int = 0
    sides: tuple[int, int] | None = None

    @property
    def filmed(self) -> bool:
        """Whether they are films."""
        return self.train.inputs.filmed

    @property
    def counts(self) -> np.ndarray:
        """How many images of each class there are, int64 ⟨2, classes⟩: to train on, and to validate on."""
        return np.stack([part.targets.counts(len(self.classes)) for part in (self.train, self.val)])

    def to_record(self) -> dict[str, object]:
        """What a run folder keeps of it as `data.json`."""
        return (
            {
                "name": self.name,
                "classes": list(self.classes),
                "train": len(self.train),
                "val": len(self.val),
                "test": self.test,
                "split": self.split_note,
                "per_class": self.counts.T.tolist(),
                "skipped": [{"path": placed(skipped.path, self.roots), "why": skipped.why} for skipped in self.skipped],
                "mirror": self.mirror,
            }
            | self._whose()
            | ({"points": True} if isinstance(self.train.targets, Joints) else {})
            | self._objects()
            | ({"films": True} if self.filmed else {})
            | ({"notes": list(self.notes)} if self.notes else {})
        )

    def _objects(self) -> dict[str, object]:
        """How many objects there are in each part, crowds not among them, where there are some."""
        numbers = [part.targets.number for part in (self.train, self.val) if isinstance(part.targets, Objects)]
        return {"objects": numbers} if numbers else {}

    def _whose(self) -> dict[str, object]:
        """How many individuals there are in each part, where that is known."""
        whose = [len(set(part.groups)) for part in (self.train, self.val)]
        return {"individuals": whose} if any(whose) else {}
