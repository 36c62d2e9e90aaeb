"""Where data comes from, and by what it is known again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..data import ArraySplit, Cache, EncodedSplit, FileSplit, ImageData, JoinedSplit, load_data
from ..data.pseudo import read_pseudo, with_pseudo
from ..errors import UserError
from ..runs import Run, value
from ..watcher import Watcher

__all__ = ["Source", "contents", "fingerprint"]


@dataclass(frozen=True)
class Source:
    """Where data comes from: all that is needed to load it again, the same, on resuming."""

    what: str
    val: str | None = None
    root: str | None = None
    download: bool = False
    seed: int = 0
    pseudo: str | None = None
    pseudo_ratio: float = 1.0
    cache: str | None = None
    cache_side: int = 0

    @classmethod
    def of(cls, run: Run) -> Source:
        """Where the data of a run is."""
        return value(cls, dict(run.config.source), f"{run.file('config.json')} is damaged: source")

    def load(self, watcher: Watcher) -> ImageData:
        found = self._labelled(watcher)
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
        splits = (images.train, images.val) if images.divided else (images.train,)
        digits = hashlib.sha256(repr(place).encode()).hexdigest()[:8]
        return Cache(folder, images.name, digits, splits, self.cache_side, watcher)

    def _labelled(self, watcher: Watcher) -> ImageData:
        found = load_data(
            self.what,
            val=self.val,
            root=Path(self.root) if self.root else None,
            download=self.download,
            seed=self.seed,
            progress=lambda done, total: watcher.count("checking images", done, total),
        )
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
        digest.update(split.labels.tobytes())
    return digest.hexdigest()[:16]


def contents(images: ImageData) -> str:
    """Sixteen digits that change when an image does: by the bytes of those in memory, by the names and sizes of files."""
    digest = hashlib.sha256()
    parts = images.train.parts if isinstance(images.train, JoinedSplit) else (images.train,)
    for split in (*parts, images.val):
        match split:
            case ArraySplit():
                for rows in np.array_split(split.images, max(1, split.images.nbytes // 2**26)):
                    digest.update(np.ascontiguousarray(rows).tobytes())
            case EncodedSplit():
                for i in range(len(split)):
                    digest.update(split.bytes_of(i))
            case FileSplit():
                for path in map(Path, split.paths):
                    size = path.stat().st_size if path.exists() else -1
                    digest.update(f"{path.parent.name}/{path.name} {size}\0".encode())
    return digest.hexdigest()[:16]
