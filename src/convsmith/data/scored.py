"""`load_to_score`: images that a trained network is tried on. The rules for training data are not theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from .found import find
from .how import DETECT, How
from .images import Skipped, roots_of
from .load import readable
from .readers.dataset import Own
from .readers.names import listed, matched
from .readers.parts import WHOLE
from .split import Split
from .targets import Labels, ManyLabels, Objects, Targets

__all__ = ["NotDivided", "ToScore", "load_to_score"]


class NotDivided(DataError):
    """A part is asked for of data that has none."""


@dataclass(frozen=True, eq=False, slots=True)
class ToScore:
    """Images to score, with labels that count through the classes of the network.

    `name` says what they are ("cifar/val"), and `part` which part that is; `missing` are classes that have no image here.
    """

    name: str
    part: str
    split: Split
    missing: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


def load_to_score(
    what: str | Path | Own,
    classes: tuple[str, ...],
    kind: type[Targets],
    *,
    part: str | None = None,
    root: Path | None = None,
    download: bool = False,
    divide: str | None = None,
    ruler: str | None = None,
    category: str | None = None,
    task: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ToScore:
    """Every image of `part` of the data, for a network of `classes` whose answers are of `kind`.

    `part` is train, val or test where the data has such parts, or all of it together; by default val, else test, else all.
    `divide`, `ruler`, `category` and `task` are as in `load_data`. Classes are matched by name, and may be fewer than the
    network's; one image of each is enough.

    Raises:
        DataError: no such part, no image, or classes that the network does not know.
    """
    how = How(divide, ruler, category, task or (DETECT if kind is Objects else None))
    how.check()
    found = find(what, root=root, download=download, progress=progress, known=classes, how=how)
    chosen = part or next((name for name in ("val", "test") if name in found.parts), WHOLE)
    if chosen == WHOLE:
        parts = [read() for read in found.parts.values()]
    elif chosen in found.parts:
        parts = [found.parts[chosen]()]
    elif found.divided:
        raise DataError(f"{found.name} has no part '{chosen}'; it has {' and '.join(found.parts)}")
    else:
        raise NotDivided(f"{found.name} has no part '{chosen}', since it is not divided")
    name = found.name if chosen == WHOLE else f"{found.name}/{chosen}"
    total, done = sum(len(one.split) for one in parts), 0
    splits, skipped = [], sum((one.skipped for one in parts), ())
    notes = tuple(dict.fromkeys(note for one in parts for note in one.notes))
    for one in parts:
        split, lost, odd = readable(one.split, name, _told(progress, done, total))
        splits.append(_answered(matched(split, one.classes, classes, name), kind, len(classes), name))
        beyond = [known for known in one.classes if known not in classes] if one.split.targets.moved else []
        if beyond:
            odd += (f"not scored, since the network does not know them: {listed(beyond)}",)
        skipped, notes, done = skipped + lost, notes + odd, done + len(one.split)
    split = splits[0].joined(*splits[1:])
    if not len(split):
        lost_first = f": {len(skipped)} cannot be read, {skipped[0].path} first: {skipped[0].why}" if skipped else ""
        raise DataError(f"{name} has no images to score{lost_first}")
    missing = tuple(c for c, n in zip(classes, split.targets.counts(len(classes)), strict=True) if not n)
    return ToScore(name, chosen, split, missing, skipped, notes, roots_of(what))


def _told(progress: Callable[[int, int], None], before: int, total: int) -> Callable[[int], None]:
    """Progress of a part, of which `before` images of `total` come earlier."""
    return lambda done: progress(before + done, total)


def _answered(split: Split, kind: type[Targets], classes: int, name: str) -> Split:
    """The split with targets of `kind`, where they say the same."""
    match split.targets:
        case Labels(labels=labels) if kind is ManyLabels:
            return replace(split, targets=ManyLabels(np.eye(classes, dtype=bool)[labels]))
        case ManyLabels(labels=labels) if kind is Labels:
            if not (labels.sum(1) == 1).all():
                raise DataError(
                    f"{name} has images of several classes, or of none, and the network gives each image one"
                )
            return replace(split, targets=Labels(labels.argmax(1)))
        case other if not isinstance(other, kind):
            raise DataError(f"{name} has {other.said}, and the network {kind.sought}")
        case _:
            return split
