"""`load_data`: from what a user can name to images that are known to be fit for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..units import plural
from .batches import HELD_BYTES
from .dividing import divided, folded
from .found import Found, existing, find, is_table
from .images import ImageData, Skipped, roots_of
from .inputs import Arrays, Encoded, Files, Items
from .oddities import copies, dim
from .pictures import examined
from .readers.dataset import Own
from .readers.folder import read_classes
from .readers.names import renumbered
from .readers.npz import read_npz
from .readers.parts import WHOLE, Part
from .readers.table import read_table
from .split import Split
from .targets import Labels

__all__ = ["load_data", "readable"]

# The share of each class that is set aside for validation, where nothing else is said.
USUAL_SHARE = 0.2
# Up to here every image is decoded once before training; above, only the headers are read.
_DECODED_CHECKS = 50_000


def load_data(
    what: str | Path | Own,
    *,
    val: str | Path | None = None,
    root: Path | None = None,
    download: bool = False,
    seed: int = 0,
    val_fraction: float | None = None,
    fold: tuple[int, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImageData:
    """Images for classification: `digits`, a class-per-folder directory, an `.npz`, a `.csv` of files and labels, a
    torchvision set by its name, or a dataset of your own: anything with a length that gives (PIL image or uint8 tensor,
    label), or a pair (train, val).

    `val` names a second folder, `.npz` or `.csv` to validate on as it is. Without it, and where the data has no validation
    part of its own, a share `val_fraction` of each class is set aside, chosen by `seed` (a fifth by default); or `fold` (i, n):
    the i-th, counted from 0, of n parts. Where a test part stands beside a validation part it is counted and left alone;
    alone, it validates. `root` is where torchvision's sets lie; they are fetched only when `download` is true. Unreadable
    images are skipped and listed; `progress` is told (images looked at, images in all). Raises DataError where nothing
    sensible can be trained.
    """
    if val_fraction is not None and not 0 < val_fraction < 1:
        raise DataError(f"--val-share (val_fraction) is {val_fraction:g}; it must lie between 0 and 1")
    report = progress or _unreported
    found = find(what, root=root, download=download, progress=report)
    if found.divided and "train" not in found.parts:
        raise DataError(f"{what} has a part '{next(iter(found.parts))}' with classes but no 'train' beside it")
    first = found.parts["train" if found.divided else WHOLE]()
    second = _to_validate(found, first.classes, None if val is None else existing(val))
    if second is not None and not (val_fraction is None and fold is None):
        option = "--val-share" if fold is None else "--folds"
        raise DataError(f"{found.name} is validated on {second.name}: {option} divides data that has no such part")
    total = len(first.split) + (0 if second is None else len(second.split))
    train, lost, odd = readable(first.split, found.name, lambda done: report(done, total))
    skipped, notes = first.skipped + lost, first.notes + odd
    classes = _sound(train, first.classes, found.name, skipped)
    if second is None:
        train, held_out, note = _set_aside(train, val_fraction or USUAL_SHARE, fold, seed)
    else:
        done_before = len(first.split)
        held_out, lost, odd = readable(second.split, second.name, lambda done: report(done_before + done, total))
        skipped, notes = skipped + second.skipped + lost, notes + second.notes + odd
        note = f"{second.name}, as it is"
        _check_validation(held_out, classes, second.name, lost)
    notes += copies(train, held_out)
    test = None if val is None and "val" not in found.parts else found.parts.get("test")
    n, said = (0, "") if test is None else _left_alone(test, found.name)
    return ImageData(
        found.name,
        classes,
        train,
        held_out,
        note,
        skipped,
        found.mirror,
        divided=second is None,
        notes=(*notes, said) if said else notes,
        roots=roots_of(what, val),
        test=n,
    )


def _unreported(done: int, total: int) -> None:
    pass


def _to_validate(found: Found, classes: tuple[str, ...], apart: Path | None) -> Part | None:
    """What is validated on, with labels in the numbers of `classes`: the file or folder `apart`, or the data's own part."""
    if apart is not None:
        part = replace(_undivided(apart), name=str(apart))
    elif own := next((name for name in ("val", "test") if name in found.parts), None):
        part = found.parts[own]()
    else:
        return None
    if not part.classes or not classes or part.classes == classes:
        return part
    return replace(part, split=renumbered(part.split, part.classes, classes, part.name))


def _undivided(path: Path) -> Part:
    """The images of a second folder or file, which is asked for no parts but one to validate on."""
    if path.is_dir():
        return read_classes(path)
    parts = read_table(path) if is_table(path) else read_npz(path)
    names = ("val", "test", "train", WHOLE) if is_table(path) else ("train", "val", "test", WHOLE)
    return next(parts[name] for name in names if name in parts)()


def _left_alone(test: Callable[[], Part], name: str) -> tuple[int, str]:
    """How many images of the part `test` are kept from training, and what is said of that."""
    try:
        part = test()
    except DataError as error:
        return 0, f"the test part of {name} is left alone, and cannot be scored: {error}"
    n = len(part.split)
    return (
        n,
        f"{part.name or 'the test part'} ({plural(n, 'image')}) is left alone: `convsmith evaluate RUN --split test` scores it",
    )


def _set_aside(split: Split, share: float, fold: tuple[int, int] | None, seed: int) -> tuple[Split, Split, str]:
    """What to train on, what to validate on, and how they were divided."""
    if fold is None:
        return *divided(split, share, seed), f"{share:.0%} of each class, drawn at random with seed {seed}"
    at, folds = fold
    return *folded(split, at, folds, seed), f"part {at + 1} of {folds} of each class, drawn at random with seed {seed}"


def readable(
    split: Split, name: str, progress: Callable[[int], None]
) -> tuple[Split, tuple[Skipped, ...], tuple[str, ...]]:
    """The images that can be decoded, held as pixels where they are small and of one size; the others; and what is odd."""
    match split.inputs:
        case Files(paths=paths):
            source: Callable[[int], str | bytes] = paths.__getitem__
        case Encoded() as encoded:
            paths, source = (), encoded.bytes_of
        case Items():  # each was looked at when its label was read
            return split, (), ()
        case Arrays(images=pixels):
            progress(len(split))
            return split, (), dim([int(pixels.max(initial=0))] * len(pixels))
        case _:
            progress(len(split))
            return split, (), ()
    whole = len(split) <= _DECODED_CHECKS
    seen = examined(source, len(split), whole=whole, keep=HELD_BYTES, progress=progress)
    looked = [(one.deep, one.brightest) for one in seen if one.brightest is not None]
    good = np.array([not one.why for one in seen], dtype=bool)
    skipped = tuple(
        Skipped(paths[i] if paths else f"{name}, image {i}", seen[i].why) for i in np.flatnonzero(~good).tolist()
    )
    if skipped:
        split = split.take(np.flatnonzero(good))
    odd = sum((dim([b for d, b in looked if d == deep], deep=deep) for deep in (False, True)), ())
    images = [one.image for one in seen if one.image is not None]
    if images and len(images) == len(split) and len({image.shape for image in images}) == 1:
        paths = split.inputs.paths if isinstance(split.inputs, Files) else ()
        return replace(split, inputs=Arrays(np.stack(images), paths)), skipped, odd
    return split, skipped, odd


def _sound(split: Split, names: tuple[str, ...], where: str, skipped: tuple[Skipped, ...]) -> tuple[str, ...]:
    """The names of the classes, once each of them is known to have two images or more."""
    lost = f" ({len(skipped)} unreadable, the first {skipped[0].path}: {skipped[0].why})" if skipped else ""
    if len(split) == 0:
        raise DataError(f"{where} has no images{lost}")
    most = _largest(split)
    if most >= (len(names) or len(split)):
        known = (
            f"only {plural(len(names), 'class name')}, numbered from 0"
            if names
            else f"only {plural(len(split), 'image')}; number the classes from 0"
        )
        raise DataError(f"{where} has a label {most} but {known}")
    least = int(split.targets.labels.min()) if isinstance(split.targets, Labels) else 0
    if least > 0 and not names:
        raise DataError(f"{where} has labels from {least} to {most}: number the classes from 0, as by labels - {least}")
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
