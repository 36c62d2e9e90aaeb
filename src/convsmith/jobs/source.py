"""Where data comes from, and by what it is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..data import (
    NAMES,
    Arrays,
    Boxed,
    Cache,
    Encoded,
    Files,
    Films,
    ImageData,
    Inputs,
    Items,
    Joined,
    Skipped,
    load_data,
)
from ..data.films import is_film
from ..data.how import How
from ..data.moving.drawn import Moving
from ..data.readers.dataset import Own
from ..data.readers.pseudo import read_pseudo, with_pseudo
from ..data.scenes.drawn import Scenes
from ..errors import DataError, UserError
from ..runs import Data as DataRecord
from ..runs import RunFolder, now, value
from ..tagged import LATER
from ..units import plural
from ..watcher import Watcher

__all__ = [
    "Source", "check_unchanged", "contents", "data_record", "fingerprint", "loaded_again", "unchanged", "unread",
]  # fmt: skip

# Items of a user's own dataset that it is known again by, spread evenly: all where there are no more.
LOOKED_AT = 256
# Scenes that are drawn for that: all are drawn by the same lines.
DRAWN = 16


@dataclass(frozen=True)
class Source:
    """Where data comes from: all that is needed to load it again, the same, on resuming.

    `own`: it is a dataset that lives in Python and in no file. `what` then only describes it, and it has to be given again.
    `val_share` of each class is set aside where the data is not divided, None being the usual share; or `fold` (i, n), the
    i-th of n parts, counted from 0. `divide`, `ruler`, `category` and `task` are of points and objects in pictures, as in
    `load_data`.
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
    val_share: float | None = field(default=None, metadata=LATER)
    fold: tuple[int, int] | None = field(default=None, metadata=LATER)
    divide: str | None = field(default=None, metadata=LATER)
    ruler: str | None = field(default=None, metadata=LATER)
    category: str | None = field(default=None, metadata=LATER)
    task: str | None = field(default=None, metadata=LATER)

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
        if (self.divide, self.category, self.task) != (None, None, None):
            place += [self.divide, self.category]
        if self.task is not None:
            place.append(self.task)
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
            val_fraction=self.val_share,
            fold=self.fold,
            divide=self.divide,
            ruler=self.ruler,
            category=self.category,
            task=self.task,
            progress=lambda done, total: watcher.count("checking images", done, total),
        )
        for note in (*found.notes, *unread(found.skipped)):
            watcher.note(note)
        return found

    def refuse_missing(self, remedy: str) -> None:
        """Raise DataError where a file or folder is not there any more; `remedy` says where its new place can be told."""
        for option, place in (("--data", None if self.own or self.what in NAMES else self.what), ("--val", self.val)):
            if place is not None and not Path(place).exists():
                raise DataError(
                    f"there is no data {place} any more; where it lies now is said by {remedy.format(option)}"
                )
        listed = How(self.divide).list_
        if listed is not None and not listed.is_file():
            raise DataError(f"the list {listed}, by which the data was divided, is not there any more: put it back")


def unread(skipped: Sequence[Skipped]) -> list[str]:
    """What is said of images that were left out: one sentence, or nothing."""
    if not skipped:
        return []
    lost = plural(len(skipped), "film" if is_film(skipped[0].path) else "image")
    return [f"left out, since they cannot be read: {lost}, {skipped[0].path} first: {skipped[0].why}"]


# ---- what it is known again by ---------------------------------------------------------------------------------------


def data_record(images: ImageData) -> DataRecord:
    """What a run keeps of its data as `data.json`."""
    digests = {"fingerprint": fingerprint(images), "contents": contents(images)}
    return DataRecord.from_record(images.to_record() | digests)


def unchanged(run: RunFolder, images: ImageData) -> bool:
    """Whether the labels and the images are those that the run was begun with."""
    before = run.data
    return before.fingerprint in (None, fingerprint(images)) and before.contents in (None, contents(images))


def loaded_again(
    run: RunFolder, source: Source, own: Own | None, watcher: Watcher, *, remedy: str, force: bool | None = False
) -> ImageData:
    """The data that a run was begun with, from `source`, where it lies now; `remedy` says how another place is told.

    Raises:
        DataError: it is not there, or is other data (`check_unchanged`).
    """
    source.refuse_missing(remedy)
    images = source.load(watcher, own)
    check_unchanged(run, images, source.what, watcher, force=force)
    return images


def check_unchanged(run: RunFolder, images: ImageData, what: str, watcher: Watcher, *, force: bool | None) -> None:
    """Refuse data that is not what the run was begun with; forced, take it and write down that it is another. `force` is None
    where there is no forcing."""
    if unchanged(run, images):
        return
    before, found = run.data, data_record(images)
    said = f"the data at {what} is not what {run.path} was begun with"
    if before.classes != found.classes:
        raise DataError(f"{said}: it has other classes, which this network cannot tell apart")
    if not force:
        raise DataError(said + ("" if force is None else "; --force goes on with it as it is now"))
    watcher.note(f"{said}; going on, forced")
    run.write_data(replace(found, changed=(*before.changed, now())))


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
            case Files(paths=paths) | Films(paths=paths) | Boxed(inputs=Files(paths=paths)):
                for path in map(Path, paths):
                    size = path.stat().st_size if path.exists() else -1
                    digest.update(f"{path.parent.name}/{path.name} {size}\0".encode(errors="surrogateescape"))
            case Items(steady=True) | Scenes() | Moving():
                most = LOOKED_AT if isinstance(inputs, Items) else DRAWN
                for i in np.linspace(0, len(inputs) - 1, min(len(inputs), most)).astype(int).tolist():
                    digest.update(_pixels(inputs, i))
    return digest.hexdigest()[:16]


def _pixels(inputs: Inputs, i: int) -> bytes:
    try:
        image = inputs.decode(i)
    except OSError:
        return b"unreadable"
    return f"{tuple(image.shape)}".encode() + image.contiguous().numpy().tobytes()
