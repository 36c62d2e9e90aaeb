"""Pseudo-labels: what a teacher says of images that nobody labelled, as a file, and as a part of the training images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...firstbytes import read_text
from ..images import ImageData
from ..inputs import Files, Inputs, Joined
from ..split import Split
from ..targets import Labels
from .below import images_below
from .npz import read_images

__all__ = ["PseudoLabels", "chosen", "read_pseudo", "unlabelled", "with_pseudo"]


@dataclass(frozen=True)
class PseudoLabels:
    """A row for each kept image of `source`, in which an image may come again: its number, its class's, and the score.

    In the file `source` is relative to the file's own folder, and `teacher` a name. `looked` were read, `unreadable` could not
    be; `teacher`, `threshold` and `balance` say how they were chosen.
    """

    source: str
    classes: tuple[str, ...]
    rows: tuple[tuple[int, int, float], ...]
    teacher: str
    threshold: float
    balance: int | None
    looked: int
    unreadable: int

    def per_class(self) -> list[int]:
        counts = np.bincount([label for _, label, _ in self.rows], minlength=len(self.classes))
        return [int(count) for count in counts]

    def to_json(self) -> str:
        return json.dumps(asdict(self)) + "\n"


def read_pseudo(path: Path) -> PseudoLabels:
    """A file that `pseudo-label` wrote."""
    try:
        data = json.loads(read_text(path))
        rows = tuple((int(i), int(label), float(score)) for i, label, score in data.pop("rows"))
        source = str(path.parent / data["source"])  # relative to the file; files of version 0.1 have it absolute
        return PseudoLabels(**{**data, "rows": rows, "classes": tuple(data["classes"]), "source": source})
    except FileNotFoundError:
        raise DataError(
            f"there is no file {path}: `convsmith pseudo-label RUN IMAGES --out {path}` makes one"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is not a file of pseudo-labels: {error}") from None


def unlabelled(what: str | Path) -> Inputs:
    """Images without regard to labels: those of an `.npz`, or all below a folder, flat or in folders of classes."""
    path = Path(what)
    if path.suffix == ".npz":
        return read_images(path)
    if not path.is_dir():
        raise DataError(f"there is no folder {path}: unlabelled images are a folder or an .npz")
    files = images_below(path)
    if not files:
        raise DataError(f"there are no images in {path}")
    return Files(tuple(files))


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


def with_pseudo(images: ImageData, pseudo: PseudoLabels, *, ratio: float, seed: int) -> ImageData:
    """`images` with `ratio` pseudo-labelled images for each labelled one among those to train on.

    Which of them is drawn by `seed`, without repeats until all have come. An epoch is over both, mixed, so that a step's
    loss is the joint one: the mean over labelled and pseudo-labelled images alike. Validation is as it was.
    """
    if not ratio > 0:
        raise DataError(f"--pseudo-ratio must be above 0; got {ratio}")
    if pseudo.classes != images.classes:
        raise DataError(
            f"the pseudo-labels are of {len(pseudo.classes)} classes ({', '.join(pseudo.classes[:3])}, ...), the data has "
            f"{len(images.classes)} ({', '.join(images.classes[:3])}, ...)"
        )
    if not pseudo.rows:
        raise DataError("the file of pseudo-labels keeps no image: lower the threshold")
    source, rng = unlabelled(pseudo.source), np.random.default_rng(seed)
    index, labels = (np.asarray([row[at] for row in pseudo.rows], np.int64) for at in (0, 1))
    if index.max() >= len(source):
        raise DataError(f"{pseudo.source} has {len(source)} images and had more when it was labelled: label it again")
    wanted = max(1, round(ratio * len(images.train)))
    rounds = [rng.permutation(len(index)) for _ in range(-(-wanted // len(index)))]
    drawn = np.concatenate(rounds)[:wanted]
    own = images.train.targets
    if not isinstance(own, Labels):
        raise DataError("pseudo-labels are one class for each image, and these images may be of several")
    train = Split(
        Joined.of(images.train.inputs, source.take(index[drawn])),
        Labels(np.concatenate((own.labels, labels[drawn]))),
    )
    note = f"{images.split_note}; {wanted} pseudo-labelled images by {Path(pseudo.teacher).name} joined"
    return replace(images, train=train, split_note=note)
