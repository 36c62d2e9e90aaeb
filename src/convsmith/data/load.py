"""`load_data`: from what a user can name to images that are known to be fit for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError, nearest
from .batches import HELD_BYTES
from .cache import Cache
from .folder import read_classes, read_folder, renumbered
from .named import TORCHVISION_SETS, read_digits, read_torchvision
from .npz import read_npz
from .pictures import examined
from .split import ArraySplit, EncodedSplit, FileSplit, Split

__all__ = ["NAMES", "ImageData", "Skipped", "divided", "load_data"]

NAMES = ("digits", *TORCHVISION_SETS)

# Up to here every image is decoded once before training; above, only the headers are read.
_DECODED_CHECKS = 50_000


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that was left out, and why."""

    path: str
    why: str


@dataclass(frozen=True, eq=False, slots=True)
class ImageData:
    """Labelled images to train on and to validate on.

    `split_note` says in a sentence how the validation part was made; `divided`, that it was set aside from the images to
    train on. `mirror` is False where a mirrored image is not of its class, as with digits. `cache` is what training reads
    instead of the images to train on, where that was asked for.
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

    def to_record(self) -> dict[str, object]:
        """What a run folder keeps of it as `data.json`."""
        counts = [np.bincount(part.labels, minlength=len(self.classes)).tolist() for part in (self.train, self.val)]
        return {
            "name": self.name,
            "classes": list(self.classes),
            "train": len(self.train),
            "val": len(self.val),
            "split": self.split_note,
            "per_class": [list(pair) for pair in zip(*counts, strict=True)],
            "skipped": [{"path": skipped.path, "why": skipped.why} for skipped in self.skipped],
            "mirror": self.mirror,
        }


@dataclass(frozen=True, eq=False, slots=True)
class _Read:
    """What was found, before it is checked. `classes` is empty where the classes have numbers only."""

    name: str
    train: Split
    classes: tuple[str, ...]
    val: Split | None = None
    val_name: str = ""
    mirror: bool = True


def load_data(
    what: str | Path,
    *,
    val: str | Path | None = None,
    root: Path | None = None,
    download: bool = False,
    seed: int = 0,
    val_fraction: float = 0.2,
    progress: Callable[[int, int], None] | None = None,
) -> ImageData:
    """Images for classification: `digits`, a class-per-folder directory, an `.npz`, or a torchvision set by its name.

    `val` names a second folder or `.npz` to validate on as it is. Without it, and where the data has no validation part
    of its own, a share `val_fraction` of each class is set aside, chosen by `seed`. `root` is where torchvision's sets
    lie; they are fetched only when `download` is true. Unreadable images are skipped and listed; `progress` is told
    (images looked at, images in all). Raises DataError where nothing sensible can be trained.
    """
    if not 0 < val_fraction < 1:
        raise DataError(f"val_fraction is {val_fraction}; it must lie between 0 and 1")
    read = _read(what, root, download)
    if val is not None:
        read = _with_validation(read, val)
    total = len(read.train) + (len(read.val) if read.val is not None else 0)
    report = progress or _unreported
    train, skipped = _readable(read.train, read.name, lambda done: report(done, total))
    classes = _sound(train, read.classes, read.name, skipped)
    if read.val is None:
        train, held_out = divided(train, val_fraction, seed)
        note = f"{val_fraction:.0%} of each class, drawn at random with seed {seed}"
    else:
        done_before = len(read.train)
        held_out, more = _readable(read.val, read.val_name, lambda done: report(done_before + done, total))
        skipped += more
        note = f"{read.val_name}, as it is"
        _check_validation(held_out, classes, read.val_name, more)
    return ImageData(read.name, classes, train, held_out, note, skipped, read.mirror, divided=read.val is None)


def _unreported(done: int, total: int) -> None:
    pass


def _read(what: str | Path, root: Path | None, download: bool) -> _Read:
    if what == "digits":
        split, classes = read_digits()
        return _Read("digits", split, classes, mirror=False)
    if isinstance(what, str) and what in TORCHVISION_SETS:
        train, val, classes, part = read_torchvision(what, root, download)
        return _Read(what, train, classes, val, f"the set's own part '{part}'")
    path = _existing(what)
    if path.is_dir():
        folder, val_folder, classes, part = read_folder(path)
        return _Read(path.resolve().name, folder, classes, val_folder, f"the folder {part}/")
    arrays, npz_val, names = read_npz(path)
    return _Read(path.stem, arrays, names or (), npz_val, "the validation arrays of the file")


def _existing(what: str | Path) -> Path:
    """A folder or an .npz file that is there."""
    path = Path(what).expanduser()
    if not path.exists():
        raise DataError(
            f"there is no data '{what}'{nearest(str(what), NAMES)}; give a folder with one sub-folder per class, an "
            f".npz file, or one of {', '.join(NAMES)}"
        )
    if not path.is_dir() and path.suffix.lower() != ".npz":
        raise DataError(f"{path} is neither a folder nor an .npz file")
    return path


def _with_validation(read: _Read, what: str | Path) -> _Read:
    path = _existing(what)
    split: Split
    if path.is_dir():
        split, names = read_classes(path)
    else:
        split, _, found = read_npz(path)
        names = found or ()
    if names and read.classes:
        split = renumbered(split, names, read.classes, str(path))
    return replace(read, val=split, val_name=str(path))


def _readable(split: Split, name: str, progress: Callable[[int], None]) -> tuple[Split, tuple[Skipped, ...]]:
    """The images that can be decoded, held as pixels where they are small and of one size; and the others."""
    if isinstance(split, FileSplit):
        paths = split.paths
        source: Callable[[int], str | bytes] = paths.__getitem__
    elif isinstance(split, EncodedSplit):
        paths, source = (), split.bytes_of
    else:
        progress(len(split))
        return split, ()
    whole = len(split) <= _DECODED_CHECKS
    seen = examined(source, len(split), whole=whole, keep=HELD_BYTES, progress=progress)
    good = np.array([not one.why for one in seen], dtype=bool)
    skipped = tuple(
        Skipped(paths[i] if paths else f"{name}, image {i}", seen[i].why) for i in np.flatnonzero(~good).tolist()
    )
    if skipped:
        split = split.take(np.flatnonzero(good))
    images = [one.image for one in seen if one.image is not None]
    if images and len(images) == len(split) and len({image.shape for image in images}) == 1:
        return ArraySplit(split.labels, np.stack(images), split.paths if isinstance(split, FileSplit) else ()), skipped
    return split, skipped


def _sound(split: Split, names: tuple[str, ...], where: str, skipped: tuple[Skipped, ...]) -> tuple[str, ...]:
    """The names of the classes, once each of them is known to have two images or more."""
    lost = f" ({len(skipped)} unreadable, the first {skipped[0].path}: {skipped[0].why})" if skipped else ""
    if len(split) == 0:
        raise DataError(f"{where} has no images{lost}")
    most = int(split.labels.max())
    if most >= (len(names) or len(split)):
        known = f"only {len(names)} class names" if names else f"only {len(split)} images; number the classes from 0"
        raise DataError(f"{where} has a label {most} but {known}")
    names = names or tuple(str(label) for label in range(most + 1))
    if len(names) < 2:
        raise DataError(f"{where} has one class, '{names[0]}'; to tell classes apart there must be two or more")
    for name, n in zip(names, np.bincount(split.labels, minlength=len(names)).tolist(), strict=True):
        if n < 2:
            raise DataError(
                f"class '{name}' of {where} has {'one image' if n else 'no images'}{lost}; "
                "give it two or more, or leave the class out"
            )
    return names


def _check_validation(split: Split, classes: tuple[str, ...], where: str, skipped: tuple[Skipped, ...]) -> None:
    if len(split) == 0:
        lost = f"; {len(skipped)} unreadable ones were skipped" if skipped else ""
        raise DataError(f"there are no validation images in {where}{lost}")
    if split.labels.max() >= len(classes):
        raise DataError(f"{where} has a label {split.labels.max()} but training has only {len(classes)} classes")


def divided(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Training and validation parts, in the order of `split`, with the same share of every class in the second.

    A class keeps one image at least in each part, as far as it has two.
    """
    chosen = np.zeros(len(split), dtype=bool)
    for label in range(int(split.labels.max()) + 1):
        members = np.flatnonzero(split.labels == label)
        n = min(len(members) - 1, max(1, round(fraction * len(members))))
        chosen[np.random.default_rng((seed, label)).permutation(members)[:n]] = True
    return split.take(np.flatnonzero(~chosen)), split.take(np.flatnonzero(chosen))
