"""How much objects overlap, as COCO counts it: boxes by their corners, masks by their runs.

The overlap of a detection with a truth is the area of both together over the area of either; with a crowd, which is many objects,
over the area of the detection alone. Nothing is added to widths: a box covers what lies between its corners.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["areas_of_runs", "box_overlaps", "mask_overlaps"]


def box_overlaps(found: np.ndarray, truth: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Of boxes `found` ⟨D,4⟩ and `truth` ⟨G,4⟩ as (x1, y1, x2, y2): ⟨D,G⟩. `crowd` bool ⟨G⟩.

    >>> box_overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]]), np.array([False])).round(3).tolist()
    [[0.333]]
    """
    own, other = found[:, None], truth[None]
    sides = np.minimum(own[..., 2:], other[..., 2:]) - np.maximum(own[..., :2], other[..., :2])
    return _shares(np.maximum(sides, 0).prod(-1), _areas(found), _areas(truth), crowd)


def mask_overlaps(found: Sequence[np.ndarray], truth: Sequence[np.ndarray], crowd: np.ndarray) -> np.ndarray:
    """The same of masks of one picture as the lengths of their runs (`rle`), D and G of them: ⟨D,G⟩.

    The pixels of a mask before place p of the picture rise by one where p is inside and stay where it is outside: a line through
    the ends of its runs. So what two masks share is, summed over the runs inside one, what the other's line rises along them.
    """
    both = np.zeros((len(found), len(truth)))
    bounds = [_inside(runs) for runs in found]
    sizes = np.array([len(starts) for starts, _ in bounds], dtype=np.int64)
    reach = np.array([(starts[0], ends[-1]) if len(starts) else (0, 0) for starts, ends in bounds]).reshape(-1, 2)
    for g, runs in enumerate(truth):
        places = np.cumsum(runs)
        inside = np.array(runs)
        inside[0::2] = 0
        rising = np.cumsum(inside)
        starts, ends = _inside(runs)
        if not len(starts):
            continue
        near = np.flatnonzero((reach[:, 0] < ends[-1]) & (starts[0] < reach[:, 1]))
        if not len(near):
            continue
        first = np.concatenate([bounds[d][0] for d in near])
        last = np.concatenate([bounds[d][1] for d in near])
        shared = np.interp(last, places, rising) - np.interp(first, places, rising)
        own = sizes[near]
        both[near, g] = np.add.reduceat(shared, np.cumsum(own) - own)
    return _shares(both, areas_of_runs(found), areas_of_runs(truth), crowd)


def areas_of_runs(masks: Sequence[np.ndarray]) -> np.ndarray:
    """The pixels inside each mask, float64."""
    return np.array([runs[1::2].sum() for runs in masks], dtype=np.float64)


def _inside(runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the runs inside begin, and where they end, without those that are empty."""
    places = np.cumsum(runs)
    ends = places[1::2]
    starts = places[0::2][: len(ends)]
    some = ends > starts
    return starts[some], ends[some]


def _areas(boxes: np.ndarray) -> np.ndarray:
    areas: np.ndarray = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def _shares(both: np.ndarray, found: np.ndarray, truth: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    either = found[:, None] + np.where(crowd[None], both, truth[None]) - both
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=both > 0))
