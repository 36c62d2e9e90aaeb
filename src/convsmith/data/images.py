"""What loading makes of data: images that are known to be fit for training, and how they came to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cache import Cache
from .split import Split

__all__ = ["ImageData", "Skipped"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that was left out, and why."""

    path: str
    why: str


@dataclass(frozen=True, eq=False, slots=True)
class ImageData:
    """Images to train on and to validate on, with what should come of them.

    `split_note` says in a sentence how the validation part was made; `divided`, that it was set aside from the images to
    train on. `mirror` is False where a mirrored image is not of its class, as with digits. `cache` is what training reads
    instead of the images to train on, where that was asked for. `notes` are what who trains on it should know.
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

    @property
    def counts(self) -> np.ndarray:
        """How many images of each class there are, int64 ⟨2, classes⟩: to train on, and to validate on."""
        return np.stack([part.targets.counts(len(self.classes)) for part in (self.train, self.val)])

    def to_record(self) -> dict[str, object]:
        """What a run folder keeps of it as `data.json`."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "train": len(self.train),
            "val": len(self.val),
            "split": self.split_note,
            "per_class": self.counts.T.tolist(),
            "skipped": [{"path": skipped.path, "why": skipped.why} for skipped in self.skipped],
            "mirror": self.mirror,
        }
