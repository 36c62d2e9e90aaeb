"""`load_data`: from what a user can name to images that are known to be fit for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError, nearest
from .batches import HELD_BYTES
from .images import ImageData, Skipped
from .inputs import Arrays, Encoded, Files, Items
from .inputs.items import name_of
from .pictures import examined
from .readers.dataset import Own, own_data, parts_of, read_dataset
from .readers.folder import read_classes, read_folder
from .readers.named import TORCHVISION_SETS, read_digits, read_torchvision
from .readers.names import renumbered
from .readers.npz import read_npz
from .readers.table import read_table
from .split import Split
from .targets import Labels

__all__ = ["NAMES", "divided", "load_data"]

NAMES = ("digits", *TORCHVISION_SETS)

# Up to here every image is decoded once before training; above, only the headers are read.
_DECODED_CHECKS = 50_000


@dataclass(frozen=True, eq=False, slots=True)
class _Read:
    """What was found, before it is checked. `classes` is empty where the classes have numbers only."""

    name: str
    train: Split
    classes: tuple[str, ...]
    val: Split | None = None
    val_name: str = ""
    mirror: bool = True
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def load_data(
    what: str | Path | Own,
    *,
    val: str | Path | None = None,
    root: Path | None = None,
    download: bool = False,
    seed: int = 0,
    val_fraction: float = 0.2,
    progress: Callable[[int, int], None] | None = None,
) -> ImageData:
    """Images for classification: `digits`, a class-per-folder directory, an `.npz`, a `.csv` of files and labels, a
    torchvision set by its name, or a dataset of your own: anything with a length that gives (PIL image or uint8 tensor,
    label), or a pair (train, val).

    `val` names a second folder, `.npz` or `.csv` to validate on as it is. Without it, and where the data has no validation
    part of its own, a share `val_fraction` of each class is set aside, chosen by `seed`. `root` is where torchvision's sets
    lie; they are fetched only when `download` is true. Unreadable images are skipped and listed; `progress` is told
    (images looked at, images in all). Raises DataError where nothing sensible can be trained.
    """
    if not 0 < val_fraction < 1:
        raise DataError(f"val_fraction is {val_fraction}; it must lie between 0 and 1")
    report = progress or _unreported
    read = _read(what, root, download) if isinstance(what, str | Path) else _read_own(what, report)
    if val is not None:
        read = _with_validation(read, val)
    total = len(read.train) + (len(read.val) if read.val is not None else 0)
    train, skipped = _readable(read.train, read.name, lambda done: report(done, total))
    skipped = read.skipped + skipped
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
    divides = read.val is None
    roots = tuple(folder for place in (what, val) if isinstance(place, str | Path) and (folder := _root(place)))
    return ImageData(
        read.name, classes, train, held_out, note, skipped, read.mirror, divided=divides, notes=read.notes, roots=roots
    )


def _root(what: str | Path) -> str:
    """The folder that the files of a path lie in; empty where it is no path."""
    path = Path(what).expanduser().absolute()
    return "" if not path.exists() else str(path if path.is_dir() else path.parent)


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
    if _is_table(path):
        listed, listed_val, classes, part = read_table(path)
        return _Read(path.stem, listed, classes, listed_val, f"the rows of split '{part}'")
    arrays, npz_val, names = read_npz(path)
    return _Read(path.stem, arrays, names or (), npz_val, "the validation arrays of the file")


def _read_own(own: Own, report: Callable[[int, int], None]) -> _Read:
    if own_data(own) is None:
        raise DataError(
            f"{type(own).__name__} is no data: give the name of a set, a path, a dataset with a length and items that are "
            "(image, label), or a pair of such (train, val)"
        )
    train, val = parts_of(own)
    total, name = len(train) + (0 if val is None else len(val)), name_of(train)
    first = read_dataset(train, lambda done: report(done, total))
    if val is None:
        return _Read(name, first.split, first.classes, skipped=first.skipped, notes=first.notes)
    other = read_dataset(val, lambda done: report(len(train) + done, total), classes=first.classes)
    held_out = other.split
    if other.classes != first.classes and other.classes:
        held_out = renumbered(held_out, other.classes, first.classes, f"the dataset to validate on, {name_of(val)},")
    return _Read(
        name, first.split, first.classes, held_out, f"the second dataset, {name_of(val)}",
        skipped=first.skipped + other.skipped, notes=first.notes + other.notes,
    )  # fmt: skip


def _existing(what: str | Path) -> Path:
    """A folder, an .npz or a .csv file that is there."""
    path = Path(what).expanduser()
    if not path.exists():
        raise DataError(
            f"there is no data '{what}'{nearest(str(what), NAMES)}; give a folder with one sub-folder per class, an "
            f".npz or .csv file, or one of {', '.join(NAMES)}"
        )
    if not path.is_dir() and path.suffix.lower() not in (".npz", ".csv"):
        raise DataError(f"{path} is neither a folder nor an .npz or .csv file")
    return path


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _with_validation(read: _Read, what: str | Path) -> _Read:
    path = _existing(what)
    split: Split
    if path.is_dir():
        split, names = read_classes(path)
    elif _is_table(path):
        rows, apart, names, _ = read_table(path)
        split = apart or rows
    else:
        split, _, found = read_npz(path)
        names = found or ()
    if names and read.classes:
        split = renumbered(split, names, read.classes, str(path))
    return replace(read, val=split, val_name=str(path))


def _readable(split: Split, name: str, progress: Callable[[int], None]) -> tuple[Split, tuple[Skipped, ...]]:
    """The images that can be decoded, held as pixels where they are small and of one size; and the others."""
    match split.inputs:
        case Files(paths=paths):
            source: Callable[[int], str | bytes] = paths.__getitem__
        case Encoded() as encoded:
            paths, source = (), encoded.bytes_of
        case Items():  # each was looked at when its label was read
            return split, ()
        case _:
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
        paths = split.inputs.paths if isinstance(split.inputs, Files) else ()
        return replace(split, inputs=Arrays(np.stack(images), paths)), skipped
    return split, skipped


def _sound(split: Split, names: tuple[str, ...], where: str, skipped: tuple[Skipped, ...]) -> tuple[str, ...]:
    """The names of the classes, once each of them is known to have two images or more."""
    lost = f" ({len(skipped)} unreadable, the first {skipped[0].path}: {skipped[0].why})" if skipped else ""
    if len(split) == 0:
        raise DataError(f"{where} has no images{lost}")
    most = _largest(split)
    if most >= (len(names) or len(split)):
        known = f"only {len(names)} class names" if names else f"only {len(split)} images; number the classes from 0"
        raise DataError(f"{where} has a label {most} but {known}")
    names = names or tuple(str(label) for label in range(most + 1))
    if len(names) < 2:
        raise DataError(f"{where} has one class, '{names[0]}'; to tell classes apart there must be two or more")
    for name, n in zip(names, split.targets.counts(len(names)).tolist(), strict=True):
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
    if _largest(split) >= len(classes):
        raise DataError(f"{where} has a label {_largest(split)} but training has only {len(classes)} classes")


def _largest(split: Split) -> int:
    """The largest class number that an image has; of targets that come with their classes' names, none is too large."""
    return int(split.targets.labels.max()) if isinstance(split.targets, Labels) else -1


def divided(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Training and validation parts, in the order of `split`, with the same share of every class in the second.

    A class (or other stratum of the targets) keeps one image at least in each part, as far as it has two.
    """
    chosen = np.zeros(len(split), dtype=bool)
    for label, members in enumerate(split.targets.strata()):
        n = min(len(members) - 1, max(1, round(fraction * len(members))))
        chosen[np.random.default_rng((seed, label)).permutation(members)[:n]] = True
    return split.take(np.flatnonzero(~chosen)), split.take(np.flatnonzero(chosen))
