"""Regions that may hold something: the best anchors of the first network, moved as it says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .coding import clipped, decoded
from .nms import best, kept
from .settings import Settings

__all__ = ["flat_deltas", "flat_scores", "proposals"]


def flat_scores(scores: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Score maps ⟨N,A,h,w⟩ in the anchors' order, ⟨N,h·w·A⟩ each."""
    return tuple(one.permute(0, 2, 3, 1).flatten(1) for one in scores)


def flat_deltas(deltas: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Delta maps ⟨N,4A,h,w⟩, A blocks of dx, dy, dw, dh, in the anchors' order: ⟨N,h·w·A,4⟩ each."""
    return tuple(one.permute(0, 2, 3, 1).reshape(len(one), -1, 4) for one in deltas)


@torch.no_grad()
def proposals(
    scores: Sequence[Tensor],
    deltas: Sequence[Tensor],
    anchors: Sequence[Tensor],
    canvas: tuple[int, int],
    settings: Settings,
    *,
    training: bool = False,
) -> tuple[Tensor, ...]:
    """The regions of each image ⟨R_i,4⟩, R_i at most `settings.regions`, best first; nothing is learnt through them.

    `scores` ⟨N,h·w·A⟩, `deltas` ⟨N,h·w·A,4⟩ and `anchors` ⟨h·w·A,4⟩ by map, fine to coarse. Of each map the
    `settings.candidates` best are decoded and clipped to the canvas; what has a side below `settings.smallest` is dropped; NMS
    at `settings.region_overlap` map by map; then the best of all maps. Of equal scores the finer map's comes first, and within
    a map the earlier anchor's.
    """
    each, most = settings.candidates[not training], settings.regions[not training]
    n = len(scores[0])
    boxes, values, levels = [], [], []
    for level, (score, delta, anchor) in enumerate(zip(scores, deltas, anchors, strict=True)):
        at = best(score, each)
        moved = decoded(delta.gather(1, at[..., None].expand(-1, -1, 4)), anchor[at])
        boxes.append(clipped(moved, canvas))
        values.append(score.gather(1, at))
        levels.append(torch.full_like(at, level))
    box, value, level_of = torch.cat(boxes, 1), torch.cat(values, 1), torch.cat(levels, 1)
    wide = ((box[..., 2:] - box[..., :2]) >= settings.smallest).all(2)
    found = []
    for i in range(n):
        own, score, group = box[i][wide[i]], value[i][wide[i]], level_of[i][wide[i]]
        found.append(own[kept(own, score, group, settings.region_overlap)[:most]])
    return tuple(found)
