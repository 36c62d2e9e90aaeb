"""Where data comes from, and by what it is known again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..data import Arrays, Cache, Encoded, Files, ImageData, Inputs, Items, Joined, load_data
from ..data.readers.dataset import Own
from ..data.readers.pseudo import read_pseudo, with_pseudo
from ..errors import UserError
from ..runs import RunFolder, value
from ..tagged import LATER
from ..watcher import Watcher

__all__ = ["Source", "contents", "fingerprint"]

# Items of a user's own dataset that it is known again by, spread evenly: all where there are no more.
LOOKED_AT = 256


@dataclass(frozen=True)
class Source:
    """Where data comes from: all that is needed to load it again, the same, on resuming.

    `own`: it is a dataset that lives in Python and in no file. `what` then only describes it, and it has to be given again.
    """

    what: str
    val: str | None = None
    root: str | None = None
    download: bool = False
    seed: int = 0
    pseudo: str | None = None
    pseudo_ratio: float = 1.0
    cache: str | None = None
    cache_side: int = 0
    own: bool = field(default=False, metadata=LATER)

    @classmethod
    def of(cls, run: RunFolder) -> Source:
        """Where the data of a run is."""
        return value(cls, dict(run.config.source), f"{run.file('config.json')} is damaged: source")

    def load(self, watcher: Watcher, own: Own | None = None) -> ImageData:
        """The data; of a source of the user's `own` it is what is given here.

        Raises:
            UserError: nothing is given.
            DataError: it cannot be trained on.
        """
        found = self._labelled(watcher, own)
        if self.pseudo is not None:
            found = with_pseudo(found, read_pseudo(Path(self.pseudo)), ratio=self.pseudo_ratio, seed=self.seed)
        return found if self.cache is None else replace(found, cache=self._cache(found, Path(self.cache), watcher))

    def _cache(self, images: ImageData, folder: Path, watcher: Watcher) -> Cache:
        """The cache of these images, which is not looked at before training."""
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--cache {folder} is a file; give a folder")
        if self.cache_side < 0:
            raise UserError(f"--cache-side is {self.cache_side}; give the pixels of a short side, or leave it out")
        place: list[object] = [self.what, self.val, self.root, self.pseudo]
        if self.pseudo is not None:  # which of them are drawn depends on these
            place += [self.pseudo_ratio, self.seed]
        # What was set aside is held as well: every seed divides another way, and all of them share one cache.
        inputs = (images.train.inputs, images.val.inputs) if images.divided else (images.train.inputs,)
        digits = hashlib.sha256(repr(place).encode()).hexdigest()[:8]
        return Cache(folder, images.name, digits, inputs, self.cache_side, watcher)

    def _labelled(self, watcher: Watcher, own: Own | None) -> ImageData:
        if self.own and own is None:
            raise UserError(
                f"{self.what} lives in Python and in no file: give it again from there, as `cs.resume(run, data=...)` or "
                "`cs.evaluate(run, ...)`"
            )
        if self.own and self.cache is not None:
            raise UserError(f"--cache holds images that are files, and {self.what} is none")
        found = load_data(
            own if self.own and own is not None else self.what,
            val=self.val,
            root=Path(self.root) if self.root else None,
            download=self.download,
            seed=self.seed,
            progress=lambda done, total: watcher.count("checking images", done, total),
        )
        for note in found.notes:
            watcher.note(note)
        if found.skipped:
            first = found.skipped[0]
            watcher.note(
                f"{len(found.skipped)} images cannot be read and are left out, {first.path} first: {first.why}"
            )
        return found


def fingerprint(images: ImageData) -> str:
    """Sixteen digits that change when the classes, the split or a label change."""
    digest = hashlib.sha256("\0".join(images.classes).encode())
    for split in (images.train, images.val):
        digest.update(split.targets.to_bytes())
    return digest.hexdigest()[:16]


def contents(images: ImageData) -> str:
    """Sixteen digits that change when an image does: by the bytes of those in memory, by the names and sizes of files, by
    the pixels of some items of a dataset of the user's own."""
    digest = hashlib.sha256()
    train, val = images.train.inputs, images.val.inputs
    for inputs in (*(train.parts if isinstance(train, Joined) else (train,)), val):
        match inputs:
            case Arrays(images=pixels):
                for rows in np.array_split(pixels, max(1, pixels.nbytes // 2**26)):
                    digest.update(np.ascontiguousarray(rows).tobytes())
            case Encoded():
                for i in range(len(inputs)):
                    digest.update(inputs.bytes_of(i))
            case Files(paths=paths):
                for path in map(Path, paths):
                    size = path.stat().st_size if path.exists() else -1
                    digest.update(f"{path.parent.name}/{path.name} {size}\0".encode())
            case Items(steady=True):
                for i in np.linspace(0, len(inputs) - 1, min(len(inputs), LOOKED_AT)).astype(int).tolist():
                    digest.update(_pixels(inputs, i))
    return digest.hexdigest()[:16]


def _pixels(inputs: Inputs, i: int) -> bytes:
    try:
        image = inputs.decode(i)
    except OSError:
        return b"unreadable"
    return f"{tuple(image.shape)}".encode() + image.contiguous().numpy().tobytes()
