"""Points as maps and back: where each joint is, on a grid of cells a stride apart (Insafutdinov et al., 2016; DeepLabCut).

A network that finds K joints puts out K score maps and 2K offset maps, ⟨N,3K,h,w⟩ in that order; of offsets channel 2k is x's
of joint k and 2k + 1 y's. The cell in row i, column j stands for the point (8 j + 4, 8 i + 4) of what the network is shown.
Maps are (row, column), points are (x, y).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["STDEV", "STRIDE", "MapTargets", "decoded", "encoded", "map_side"]

STRIDE = 8  # pixels from cell to cell
STDEV = 7.2801  # pixels that an offset of 1 stands for: `locref_stdev` of DeepLabCut's pose_cfg.yaml


class MapTargets(NamedTuple):
    """What the maps should hold: `scores` ⟨N,K,h,w⟩ in 0..1; `offsets` ⟨N,2K,h,w⟩, which count only where `near` ⟨N,K,h,w⟩."""

    scores: Tensor
    offsets: Tensor
    near: Tensor


def map_side(side: int) -> int:
    """Cells along a side of what is shown: two for every sixteen pixels begun.

    >>> map_side(162), map_side(288)
    (22, 36)
    """
    return 2 * -(-side // 16)


def encoded(points: Tensor, radius: Tensor, size: tuple[int, int], *, gaussian: bool = False) -> MapTargets:
    """The targets for `points` ⟨N,K,2⟩ in pixels of what is shown, NaN where a joint is absent, on maps of `size` (h, w).

    The score is 1 in cells no farther than `radius` ⟨N⟩ from the joint, a disc; with `gaussian` exp(-d² / 2σ²) with
    σ = 2 radius / 3, DeepLabCut 3's. Offsets are ((x, y) - cell) / 7.2801 within the disc. An absent joint has a score of 0
    everywhere and no offsets. A joint in reach of no cell's centre, possible for a radius below 5.66, has neither.
    """
    rows, columns = (STRIDE * torch.arange(n, device=points.device) + STRIDE / 2 for n in size)
    dx = points[..., 0, None, None] - columns
    dy = points[..., 1, None, None] - rows[:, None]
    squares = dx.square() + dy.square()
    reach = radius[:, None, None, None]
    near = squares <= reach.square()  # NaN is never near
    scores = torch.exp(-squares / (2 * (2 / 3 * reach).square())).nan_to_num(0.0) if gaussian else near.to(points.dtype)
    offsets = torch.stack(torch.broadcast_tensors(dx, dy), dim=2).flatten(1, 2) / STDEV
    return MapTargets(scores, offsets.nan_to_num(0.0), near)


def decoded(maps: Tensor, joints: int) -> tuple[Tensor, Tensor]:
    """The points ⟨N,K,2⟩ that maps ⟨N,3K,h,w⟩ tell, in pixels of what was shown, and their likelihoods ⟨N,K⟩.

    The cell with the largest score, moved by its offset; the likelihood is the sigmoid of that score. Channels behind the
    first 3K are not read. Every joint has a point, whether it is there or not.
    """
    width = maps.shape[3]
    scores, at = maps[:, :joints].flatten(2).max(dim=2)
    offsets = maps[:, joints : 3 * joints].unflatten(1, (joints, 2)).flatten(3)
    moved = offsets.gather(3, at[:, :, None, None].expand(-1, -1, 2, 1))[..., 0]
    cells = torch.stack((at % width, at // width), dim=2)
    return STRIDE * cells + STRIDE / 2 + STDEV * moved, scores.sigmoid()
