"""What is set aside of images that are not divided yet: by class or by individual, and the same for the same seed."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..units import plural
from .how import BY_CLIP, BY_FRAME
from .split import Split
from .targets import Objects

__all__ = ["divided", "folded", "set_aside"]


def divided(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Training and validation parts, in the order of `split`, with the same share of every class in the second.

    A class (or other stratum of the targets) keeps one image at least in each part, as far as it has two.
    """
    chosen = np.zeros(len(split), dtype=bool)
    for label, members in enumerate(split.targets.strata()):
        n = min(len(members) - 1, max(1, round(fraction * len(members))))
        chosen[np.random.default_rng((seed, label)).permutation(members)[:n]] = True
    return split.take(np.flatnonzero(~chosen)), split.take(np.flatnonzero(chosen))


def folded(split: Split, at: int, folds: int, seed: int) -> tuple[Split, Split]:
    """Training and validation parts, in the order of `split`, for fold `at` of `folds`, counted from 0.

    Over all folds each image is in the second once. The folds share each class (or other stratum) as evenly as can be, and
    what is left over of one class goes to where that of the one before it ended.
    """
    fold, dealt = np.zeros(len(split), dtype=np.int64), 0
    for label, members in enumerate(split.targets.strata()):
        order = np.random.default_rng((seed, label)).permutation(members)
        fold[order] = (dealt + np.arange(len(order))) % folds
        dealt += len(order)
    return split.take(np.flatnonzero(fold != at)), split.take(np.flatnonzero(fold == at))


def set_aside(
    split: Split, share: float, fold: tuple[int, int] | None, seed: int, divide: str | None = None
) -> tuple[Split, Split, str]:
    """What to train on, what to validate on, and how they were divided.

    Images that belong to somebody are divided by whom, where these are two or more, unless `divide` says by frame: frames
    of one video resemble each other, and a score on the neighbours of what was trained on says nothing of another animal.

    Clips that were cut out of one film are divided by film for the same reason.

    Raises:
        DataError: more folds than individuals, or than images; or all clips of a class are of one film.
    """
    drawn = f"drawn at random with seed {seed}"
    who = len(set(split.groups))
    if who and not split.targets.moved and divide != BY_CLIP:
        parts = max(2, round(1 / share)) if fold is None else fold[1]
        train, val = _by_film(split, 0 if fold is None else fold[0], parts, seed)
        part = "" if fold is None else f", part {fold[0] + 1} of {fold[1]}"
        return train, val, f"by film{part}: {len(set(val.groups))} of {who}, of which no clip is trained on, {drawn}"
    if who > 1 and divide not in (BY_FRAME, BY_CLIP):
        train, val = _by_group(split, share, fold, seed)
        said = ", ".join(sorted(set(val.groups))[:4]) + (" and others" if len(set(val.groups)) > 4 else "")
        part = "" if fold is None else f", part {fold[0] + 1} of {fold[1]}"
        return train, val, f"by individual: {len(set(val.groups))} of {who}{part} ({said}), {drawn}"
    whole = f"{share:.0%}" if fold is None else f"part {fold[0] + 1} of {fold[1]}"
    if split.targets.moved and fold is not None and fold[1] > len(split):
        raise DataError(f"--folds {fold[1]}: there are {plural(len(split), 'image')}")
    train, val = divided(split, share, seed) if fold is None else folded(split, *fold, seed)
    if isinstance(split.targets, Objects):
        return train, val, f"{whole} of the images of each class, and of those without objects, {drawn}"
    if not split.targets.moved:
        return train, val, f"{whole} of each class, {drawn}"
    known = "there is one individual, so " if who == 1 and divide != BY_FRAME else ""
    return train, val, f"{known}by frame: {whole} of them, {drawn}; frames of one video resemble each other"


def _by_film(split: Split, at: int, parts: int, seed: int) -> tuple[Split, Split]:
    """Parts that have no film in common, the second being number `at` of so many, among which each class is dealt as evenly as
    its films allow. Of a class with one film alone, that is in part 1."""
    names, film = np.unique(np.array(split.groups), return_inverse=True)
    strata = split.targets.strata()
    stratum = np.zeros(len(split), np.int64)
    for number, members in enumerate(strata):
        stratum[members] = number
    dealt, part = np.zeros((parts, len(strata)), np.int64), np.zeros(len(names), np.int64)
    preferred = [1, 0, *range(2, parts)]
    for one in np.random.default_rng((seed, len(names))).permutation(len(names)):
        own = np.bincount(stratum[film == one], minlength=len(strata))
        part[one] = min(preferred, key=lambda number: dealt[number, own.argmax()])
        dealt[part[one]] += own
    aside = part[film] == at
    alone = [number for number, members in enumerate(strata) if len(members) and aside[members].all()]
    if alone:
        first = split.groups[int(strata[alone[0]][0])]
        raise DataError(
            f"all clips of class {alone[0]} (counted from 0) are of one film, {first}, and it cannot be both trained on and "
            "validated on: --divide clip divides all the same"
        )
    return split.take(np.flatnonzero(~aside)), split.take(np.flatnonzero(aside))


def _by_group(split: Split, share: float, fold: tuple[int, int] | None, seed: int) -> tuple[Split, Split]:
    """Parts that have no individual in common: a share of the individuals in the second, one at least in each."""
    names = sorted(set(split.groups))
    order = np.random.default_rng((seed, len(names))).permutation(len(names))
    if fold is None:
        chosen = order[: min(len(names) - 1, max(1, round(share * len(names))))]
    elif fold[1] > len(names):
        raise DataError(
            f"--folds {fold[1]} are more than the {len(names)} individuals; --folds {len(names)} leaves out each once"
        )
    else:
        chosen = order[fold[0] :: fold[1]]
    aside = np.isin(np.array(split.groups), np.array(names)[chosen])
    return split.take(np.flatnonzero(~aside)), split.take(np.flatnonzero(aside))
