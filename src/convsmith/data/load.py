"""`load_data`: from what a user can name to images that are known to be fit for training."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..units import plural
from .batches import HELD_BYTES
from .dividing import set_aside
from .found import Found, existing, find, is_table, read_objects_or_points
from .how import How
from .images import ImageData, Skipped, roots_of
from .inputs import Arrays, Boxed, Encoded, Files, Films, Items
from .oddities import brief, copies, dim
from .pictures import examined
from .quad.drawn import Quads
from .readers.clips.folder import holds_films, read_films
from .readers.dataset import Own
from .readers.folder import read_classes
from .readers.names import renumbered
from .readers.npz import read_npz
from .readers.parts import WHOLE, Part
from .readers.table import read_table
from .reels import Reel, reel_of
from .split import Split

__all__ = ["load_data", "readable"]

# The share of each class that is set aside for validation, where nothing else is said.
USUAL_SHARE = 0.2
# Up to here every image is decoded once before training; above, only the headers are read.
_DECODED_CHECKS = 50_000
# Pictures whose size is looked at.
_MEASURED = 256


def load_data(
    what: str | Path | Own,
    *,
    val: str | Path | None = None,
    root: Path | None = None,
    download: bool = False,
    seed: int = 0,
    val_fraction: float | None = None,
    fold: tuple[int, int] | None = None,
    divide: str | None = None,
    ruler: str | None = None,
    category: str | None = None,
    task: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImageData:
    """Images to train on: `digits`, a class-per-folder directory, an `.npz`, a `.csv` of files and labels, a
    torchvision set by its name, or a dataset of your own: anything with a length that gives (PIL image or uint8 tensor,
    label), or a pair (train, val). Or pictures with points in them: `quad30`, a DeepLabCut project or one of its CSV files, a
    COCO .json of key points. Or pictures with objects: `digit-scenes`, a COCO .json or a folder of them, a folder of pictures
    with masks, YOLO's labels.

    `val` names a second folder, `.npz` or `.csv` to validate on as it is. Without it, and where the data has no validation
    part of its own, a share `val_fraction` of each class is set aside, chosen by `seed` (a fifth by default); or `fold` (i,
    n): the i-th, counted from 0, of n parts. Where a test part stands beside a validation part it is counted and left alone;
    alone, it validates. Pictures with points are divided by `divide`: "individual", which is usual where there are several,
    "frame", the number of one of quad30's divisions, or a .csv that lists the frames of each part; `ruler` ("nose,eye") names
    two points whose distance is an individual's scale; `category` chooses one of a COCO file, and `task` "detect" its
    objects where it has key points, too. `root` is where torchvision's sets lie; they are fetched only when `download` is true.
    Unreadable images are skipped and listed; `progress` is told (images looked at, images in all). Raises DataError where
    nothing sensible can be trained.
    """
    if val_fraction is not None and not 0 < val_fraction < 1:
        raise DataError(f"--val-share (val_fraction) is {val_fraction:g}; it must lie between 0 and 1")
    report = progress or _unreported
    how = How(divide, ruler, category, task)
    how.check()
    found = find(what, root=root, download=download, progress=report, how=how)
    if val is not None and divide is not None:
        raise DataError(f"--divide says what is validated on: leave out it or --val {val}")
    if found.divided and "train" not in found.parts:
        raise DataError(f"{what} has a part '{next(iter(found.parts))}' with classes but no 'train' beside it")
    first = found.parts["train" if found.divided else WHOLE]()
    second = _to_validate(
        found, first, None if val is None else existing(val), How(ruler=ruler, category=category, task=task)
    )
    if second is not None and not (val_fraction is None and fold is None):
        option = "--val-share" if fold is None else "--folds"
        raise DataError(f"{found.name} is validated on {second.name}: {option} divides data that has no such part")
    total = len(first.split) + (0 if second is None else len(second.split))
    train, lost, odd = readable(first.split, found.name, lambda done: report(done, total))
    skipped, notes = first.skipped + lost, first.notes + odd
    classes = _sound(train, first.classes, found.name, skipped)
    if second is None:
        train, held_out, note = set_aside(train, val_fraction or USUAL_SHARE, fold, seed, divide)
    else:
        done_before = len(first.split)
        held_out, lost, odd = readable(second.split, second.name, lambda done: report(done_before + done, total))
        skipped = skipped + second.skipped + lost
        notes += (*(said for said in second.notes if said not in notes), *odd)
        note = f"{second.name}, as it is"
        _check_validation(held_out, classes, second.name, lost)
    few, sizes = _measured(train)
    notes += (*train.targets.oddities(), *few.targets.outside(sizes), *copies(train, held_out))
    test = None if val is None and "val" not in found.parts else found.parts.get("test")
    n, said = (0, "") if test is None else _left_alone(test, found.name)
    return ImageData(
        found.name,
        classes,
        train,
        held_out,
        note,
        skipped,
        found.mirror and train.targets.mirrors,
        divided=second is None,
        notes=(*notes, said) if said else notes,
        roots=roots_of(what, val),
        test=n,
        sides=_median(sizes),
    )


def _unreported(done: int, total: int) -> None:
    pass


def _to_validate(found: Found, first: Part, apart: Path | None, how: How) -> Part | None:
    """What is validated on, with labels in the numbers of what is trained on, `first`: the file or folder `apart`, or the data's
    own part."""
    classes = first.classes
    if apart is not None:
        part = replace(_undivided(apart, how), name=str(apart))
    elif own := next((name for name in ("val", "test") if name in found.parts), None):
        part = found.parts[own]()
    else:
        return None
    trained, validated = first.split.targets, part.split.targets
    if trained.said != validated.said:
        raise DataError(f"{found.name} has {trained.said}, and {part.name} has {validated.said}")
    if not part.classes or not classes or part.classes == classes:
        return part
    return replace(part, split=renumbered(part.split, part.classes, classes, part.name))


def _undivided(path: Path, how: How) -> Part:
    """The images of a second folder or file, which is asked for no parts but one to validate on."""
    if (read := read_objects_or_points(path, how)) is not None:
        return read()
    if path.is_dir():
        return (read_films if holds_films(path) else read_classes)(path)
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


def readable(
    split: Split, name: str, progress: Callable[[int], None]
) -> tuple[Split, tuple[Skipped, ...], tuple[str, ...]]:
    """The images that can be decoded, held as pixels where they are small and of one size; the others; and what is odd."""
    match split.inputs:
        case Files(paths=paths):
            source: Callable[[int], str | bytes] = paths.__getitem__
        case Encoded() as encoded:
            paths, source = (), encoded.bytes_of
        case Boxed(inputs=Files(paths=whole_paths)):
            paths, source = whole_paths, whole_paths.__getitem__
        case Films():
            return _looked_at(split, progress)
        case Quads():
            return _drawn(split, progress), (), ()
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
    if (
        isinstance(split.inputs, Files | Encoded)
        and not getattr(split.inputs, "stored", ())  # what was looked at is upright
        and images
        and len(images) == len(split)
        and len({image.shape for image in images}) == 1
    ):
        paths = split.inputs.paths if isinstance(split.inputs, Files) else ()
        return replace(split, inputs=Arrays(np.stack(images), paths)), skipped, odd
    return split, skipped, odd


def _looked_at(split: Split, progress: Callable[[int], None]) -> tuple[Split, tuple[Skipped, ...], tuple[str, ...]]:
    """The films that can be read, with what is known of their frames; the others; and what is odd."""
    films = split.inputs
    assert isinstance(films, Films)

    def reel(path: str) -> Reel | str:
        try:
            return reel_of(path)
        except DataError as error:
            return str(error)

    found: list[Reel | str] = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for one in pool.map(reel, films.paths):
            found.append(one)
            progress(len(found))
    skipped = tuple(Skipped(path, why) for path, why in zip(films.paths, found, strict=True) if isinstance(why, str))
    good = np.array([i for i, one in enumerate(found) if isinstance(one, Reel)], np.int64)
    reels = tuple(one for one in found if isinstance(one, Reel))
    uneven = [film for film, one in zip(good.tolist(), reels, strict=True) if one.uneven]
    said = (
        f"frames of {plural(len(uneven), 'film')} are not equally long, {brief(films.paths[uneven[0]])} first: clips of these are "
        "taken as if they were, at the mean rate"
    ) if uneven else ""  # fmt: skip
    left = split.take(good)
    return replace(left, inputs=Films(tuple(films.paths[i] for i in good), reels)), skipped, (said,) if said else ()


def _drawn(split: Split, progress: Callable[[int], None]) -> Split:
    """The split with pictures that were drawn, once."""
    pictures = np.empty((len(split), *split.inputs.size(0), 3), np.uint8)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for i, picture in enumerate(pool.map(split.inputs.decode, range(len(split)))):
            pictures[i] = picture.permute(1, 2, 0)
            progress(i + 1)
    return replace(split, inputs=Arrays(pictures))


def _sound(split: Split, names: tuple[str, ...], where: str, skipped: tuple[Skipped, ...]) -> tuple[str, ...]:
    """The names of the classes, once there is enough to train on."""
    what = "film" if split.inputs.filmed else "image"
    lost = f" ({len(skipped)} unreadable, the first {skipped[0].path}: {skipped[0].why})" if skipped else ""
    if len(split) == 0:
        raise DataError(f"{where} has no {what}s{lost}")
    return split.targets.sound(names, where, lost, what)


def _check_validation(split: Split, classes: tuple[str, ...], where: str, skipped: tuple[Skipped, ...]) -> None:
    if len(split) == 0:
        lost = f"; {len(skipped)} unreadable ones were skipped" if skipped else ""
        raise DataError(f"there are no validation images in {where}{lost}")
    if wrong := split.targets.foreign(classes):
        raise DataError(f"{where} has {wrong}")


def _measured(split: Split) -> tuple[Split, np.ndarray]:
    """Of pictures that are shown whole all, or some that lie evenly apart, with their heights and widths; of others none."""
    n = len(split) if split.targets.moved else 0
    looked = np.unique(np.linspace(0, max(n - 1, 0), min(n, _MEASURED)).astype(int))
    sizes = np.array([split.inputs.size(i) for i in looked.tolist()]).reshape(-1, 2)
    return split.take(looked), sizes


def _median(sizes: np.ndarray) -> tuple[int, int] | None:
    """The median height and width, None of no pictures."""
    if not len(sizes):
        return None
    height, width = np.median(sizes, axis=0)
    return round(float(height)), round(float(width))
