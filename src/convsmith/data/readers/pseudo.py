"""Pseudo-labels: what a teacher says of images that nobody labelled, as a file, and as a part of the training images."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ...errors import DataError
from ...firstbytes import read_text
from ...units import plural
from ..images import ImageData
from ..inputs import Encoded, Files, Inputs
from ..split import Split
from ..targets import Labels, ManyLabels
from .below import look_below
from .names import listed
from .npz import read_images

__all__ = ["PseudoLabels", "chosen", "contents_of", "named", "read_pseudo", "unlabelled", "with_pseudo"]


# An image, by its path below the source or, in an .npz, its number; its class; and how sure the teacher was.
Row: TypeAlias = tuple[str | int, str, float]


@dataclass(frozen=True)
class PseudoLabels:
    """A row for each kept image of `source`, in which an image may come again.

    `contents` are sixteen digits that change when one of these images does; they are empty in files of version 0.1, which
    knew images by their place alone. In the file `source` is relative to the file's own folder, and `teacher` a name.
    `looked` were read, `unreadable` could not be; `teacher`, `threshold` and `balance` say how they were chosen.
    """

    source: str
    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    teacher: str
    threshold: float
    balance: int | None
    looked: int
    unreadable: int
    contents: str = ""

    def per_class(self) -> list[int]:
        counts = Counter(name for _, name, _ in self.rows)
        return [counts[name] for name in self.classes]

    def to_json(self) -> str:
        return json.dumps(asdict(self)) + "\n"


def read_pseudo(path: Path) -> PseudoLabels:
    """A file that `pseudo-label` wrote."""
    try:
        data = json.loads(read_text(path))
        source = str(path.parent / data["source"])  # relative to the file; files of version 0.1 have it absolute
        classes = tuple(map(str, data["classes"]))
        rows = tuple(
            (
                image if isinstance(image, str) else int(image),
                classes[name] if isinstance(name, int) else str(name),
                float(score),
            )
            for image, name, score in data["rows"]
        )
        return PseudoLabels(**{**data, "rows": rows, "classes": classes, "source": source})
    except FileNotFoundError:
        raise DataError(
            f"there is no file {path}: `convsmith pseudo-label RUN IMAGES --out {path}` makes one"
        ) from None
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(f"{path} is not a file of pseudo-labels: {error}") from None


def unlabelled(what: str | Path, tell: Callable[[str], None] = lambda text: None) -> Inputs:
    """Images without regard to labels: those of an `.npz`, or all below a folder, flat or in folders of classes. `tell` hears
    of images that the folder has and that are left out."""
    path = Path(what)
    if path.suffix == ".npz":
        return read_images(path)
    if not path.is_dir():
        raise DataError(f"there is no folder {path}: unlabelled images are a folder or an .npz")
    found = look_below(path)
    if not found.images:
        raise DataError(f"there are no images in {path}")
    for note in found.notes():
        tell(note)
    return Files(found.images)


def chosen(
    scores: np.ndarray, labels: np.ndarray, *, threshold: float, balance: int | None
) -> list[tuple[int, int, float]]:
    """The images to keep, the surest first in each class: those of at least `threshold`, and with `balance` exactly that
    many of each class that has any, a class with fewer beginning again at its surest (Xie et al., 2020, section 3)."""
    rows: list[tuple[int, int, float]] = []
    for label in np.unique(labels):
        own = np.flatnonzero((labels == label) & (scores >= threshold))
        own = own[np.argsort(-scores[own], kind="stable")]
        if balance is not None and len(own):
            own = np.resize(own, balance)
        rows += [(int(i), int(label), round(float(scores[i]), 6)) for i in own]
    return rows


def named(inputs: Inputs, source: str | Path, i: int) -> str | int:
    """What a row calls image `i` of the unlabelled images of `source`."""
    return Path(inputs.paths[i]).relative_to(source).as_posix() if isinstance(inputs, Files) else i


def contents_of(inputs: Inputs) -> str:
    """Sixteen digits that change when one of these images does: by the sizes of files, by the bytes of an array."""
    digest = hashlib.sha256()
    for i in range(len(inputs)):
        match inputs:
            case Files(paths=paths):
                digest.update(f"{Path(paths[i]).stat().st_size}\0".encode())
            case Encoded():
                digest.update(inputs.bytes_of(i))
            case _:
                digest.update(inputs.decode(i).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _rows_found(pseudo: PseudoLabels, source: Inputs) -> np.ndarray:
    """The numbers, int64, that the images of the rows have among those of the source now."""
    again = f"`convsmith pseudo-label` has to label {pseudo.source} again"
    if not pseudo.contents:  # of version 0.1: a place says nothing once images came or went
        if len(source) != pseudo.looked:
            raise DataError(
                f"{pseudo.source} has {plural(len(source), 'image')} and had {pseudo.looked} when it was labelled: {again}"
            )
        return np.array([image for image, _, _ in pseudo.rows], np.int64)
    number = {named(source, pseudo.source, i): i for i in range(len(source))}
    lost = [image for image, _, _ in pseudo.rows if image not in number]
    if lost:
        raise DataError(f"{pseudo.source} has lost {plural(len(lost), 'labelled image')}, '{lost[0]}' first: {again}")
    index = np.array([number[image] for image, _, _ in pseudo.rows], np.int64)
    if contents_of(source.take(index)) != pseudo.contents:
        raise DataError(f"the images of {pseudo.source} are not those that were labelled: {again}")
    return index


def with_pseudo(images: ImageData, pseudo: PseudoLabels, *, ratio: float, seed: int) -> ImageData:
    """`images` with `ratio` pseudo-labelled images for each labelled one among those to train on.

    Which of them is drawn by `seed`, without repeats until all have come. An epoch is over both, mixed, so that a step's
    loss is the joint one: the mean over labelled and pseudo-labelled images alike. Validation is as it was.
    """
    if not ratio > 0:
        raise DataError(f"--pseudo-ratio must be above 0; got {ratio}")
    if images.train.inputs.filmed:
        raise DataError(f"pseudo-labels are of images, and {images.name} has films")
    if not isinstance(images.train.targets, Labels):
        many = isinstance(images.train.targets, ManyLabels)
        have = "any number of classes" if many else images.train.targets.said
        raise DataError(f"pseudo-labels are one class for each image, and those of {images.name} have {have}")
    unknown = sorted({name for _, name, _ in pseudo.rows} - set(images.classes))
    if unknown:
        raise DataError(f"the pseudo-labels have classes that {images.name} has not: {listed(unknown)}")
    if not pseudo.rows:
        raise DataError("the file of pseudo-labels keeps no image: lower the threshold")
    source, rng = unlabelled(pseudo.source), np.random.default_rng(seed)
    index = _rows_found(pseudo, source)
    labels = np.array([images.classes.index(name) for _, name, _ in pseudo.rows], np.int64)
    wanted = max(1, round(ratio * len(images.train)))
    rounds = [rng.permutation(len(index)) for _ in range(-(-wanted // len(index)))]
    drawn = np.concatenate(rounds)[:wanted]
    train = images.train.joined(Split(source.take(index[drawn]), Labels(labels[drawn])))
    note = f"{images.split_note}; {wanted} pseudo-labelled images by {Path(pseudo.teacher).name} joined"
    return replace(images, train=train, split_note=note)
