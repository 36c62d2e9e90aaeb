"""What is set aside of images that are not divided yet: by class, and the same for the same seed."""

from __future__ import annotations

import numpy as np

from .split import Split

__all__ = ["divided", "folded"]


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
