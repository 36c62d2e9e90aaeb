"""What is set aside of images that are not divided yet: by class or by individual, and the same for the same seed."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..units import plural
from .how import BY_FRAME
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

    Raises:
        DataError: more folds than individuals, or than images.
    """
    drawn = f"drawn at random with seed {seed}"
    who = len(set(split.groups))
    if who > 1 and divide != BY_FRAME:
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
