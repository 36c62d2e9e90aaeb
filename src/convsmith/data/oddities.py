"""What is odd about images that can be read: told to who trains on them, not refused."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ..units import plural
from .inputs import Arrays, Encoded, Files, Films, Inputs
from .pictures import DIM
from .split import Split
from .targets import Labels

__all__ = ["brief", "copies", "dim"]

# Copies are looked for among no more images than this: every file of the size of another is read.
_MOST = 50_000
_START = 4096

# What an image is made of: a file's path, or what is in memory.
_Source = str | bytes | np.ndarray


def brief(path: str) -> str:
    """A file by its name and its nearest folders, for a message that may be kept: no folder of the machine's own."""
    return "/".join(Path(path).parts[-3:])


def dim(brightest: Sequence[int], *, deep: bool = False) -> tuple[str, ...]:
    """What is said where all images are all but black: `brightest` are their highest values, of 255; `deep` are those of more
    than 8 bits."""
    most = max(brightest, default=255)
    if most >= DIM:
        return ()
    n = len(brightest)
    if deep:
        return (
            f"the {n} images of more than 8 bits are all but black: none uses more than {(most + 1) / 256:.0%} of the range, as "
            "12-bit data in 16-bit files; scale them to the whole range",
        )
    return (f"the {n} images are all but black: no pixel is above {most} of 255; white is 255",)


def copies(train: Split, val: Split) -> tuple[str, ...]:
    """What is said of images that are there twice, byte for byte: to train on and to validate on, in two classes, in one."""
    sources = [_sources(split.inputs) for split in (train, val)]
    if len(train) + len(val) > _MOST or None in sources:
        return ()
    names = [
        _name(split.inputs, i, part)
        for split, part in ((train, "training"), (val, "validation"))
        for i in range(len(split))
    ]
    labels = [_label(split, i) for split in (train, val) for i in range(len(split))]
    shared: list[tuple[int, int]] = []
    torn: list[tuple[int, int]] = []
    again: list[tuple[int, int]] = []
    for first, *others in _alike([source for one in sources for source in one or ()]):
        for other in others:
            if first < len(train) <= other:
                shared.append((other, first))
            elif labels[other] == labels[first]:
                again.append((other, first))
            if labels[other] != labels[first]:
                torn.append((other, first))

    def said(pairs: list[tuple[int, int]], where: str, then: str = "") -> Iterable[str]:
        if pairs:
            one, other = pairs[0]
            yield f"copies {where}: {plural(len(pairs), 'image')}, {names[one]} of {names[other]} first{then}"

    return (
        *said(
            shared, f"of training images among the {len(val)} to validate on", "; their score is not one of new images"
        ),
        *said(
            torn,
            "that are labelled in two ways" if train.targets.moved else "in two classes",
            "; one of the two labels is wrong",
        ),
        *said(again, "that are labelled alike" if train.targets.moved else "in one class"),
    )


def _label(split: Split, i: int) -> Hashable:
    targets = split.targets
    return int(targets.labels[i]) if isinstance(targets, Labels) else targets.take(np.array([i])).to_bytes()


def _name(inputs: Inputs, i: int, part: str) -> str:
    path = inputs.where(i)
    return f"{part} image {i}" if path is None else brief(path)


def _sources(inputs: Inputs) -> list[_Source] | None:
    """What each image is made of; None where it would have to be decoded to be known."""
    match inputs:
        case Files(paths=paths) | Films(paths=paths) | Arrays(paths=(_, *_) as paths):
            return list(paths)
        case Arrays(images=images):
            return list(images)
        case Encoded():
            return [inputs.bytes_of(i) for i in range(len(inputs))]
    return None


def _alike(sources: Sequence[_Source]) -> list[list[int]]:
    """Groups of the same bytes, told apart by their length, then by how they begin, and only then as a whole."""
    keys: list[Hashable] = [_length(source) for source in sources]
    for length in (_START, -1):
        often = Counter(keys)
        keys = [
            (key, hash(_read(source, length))) if often[key] > 1 else (key, i)
            for i, (key, source) in enumerate(zip(keys, sources, strict=True))
        ]
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key].append(i)
    return [group for group in groups.values() if len(group) > 1]


def _length(source: _Source) -> int:
    try:
        if isinstance(source, np.ndarray):
            return source.nbytes
        return len(source) if isinstance(source, bytes) else os.stat(source).st_size
    except OSError:
        return -1


def _read(source: _Source, length: int) -> bytes:
    """The first bytes, all with -1. Of a file that vanished, its name, which is no other's."""
    if isinstance(source, np.ndarray):
        return source.reshape(-1)[: length if length >= 0 else None].tobytes()
    if isinstance(source, bytes):
        return source[:length] if length >= 0 else source
    try:
        with open(source, "rb") as file:
            return file.read(length)
    except OSError:
        return os.fsencode(source)
