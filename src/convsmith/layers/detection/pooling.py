"""RoIAlign over a pyramid: a map of fixed sides for every region, from the map that fits its size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .settings import Settings

__all__ = ["levels", "pooled"]

_ROUNDING = (
    1e-6  # so that a region on the border between two maps is read from the coarser, however its root was rounded
)


def levels(regions: Tensor, settings: Settings) -> Tensor:
    """Which of the maps, from the finest 0, each of `regions` ⟨R,4⟩ is read from ⟨R⟩ (Lin et al., 2017, equation 1):

    stride 2^l, l = floor(`level` + log2(√(w h) / `side`)), or the nearest map there is
    """
    side = ((regions[:, 2] - regions[:, 0]) * (regions[:, 3] - regions[:, 1])).clamp_min(0).sqrt()
    level = torch.floor(settings.level + torch.log2(side / settings.side) + _ROUNDING)
    finest = int(math.log2(settings.strides[0]))
    return (level - finest).clamp(0, settings.readable - 1).long()  # log2(0) is -inf, which the clamp takes to 0


def pooled(maps: Sequence[Tensor], regions: Sequence[Tensor], side: int, settings: Settings) -> Tensor:
    """What `maps` ⟨N,C,h,w⟩, fine to coarse, hold under the `regions` ⟨R_i,4⟩ of each image, one after another ⟨R,C,side,side⟩.

    A region is divided into side x side bins, a bin is the mean of samples x samples points of the map between its cells
    (He et al., 2017). In the exact geometry cell i's value stands at (i + 1/2) stride; in torchvision's at i stride, half a
    cell off, and a region below one cell is read as one. Up to a cell beyond the outermost values the map goes on as it ends,
    farther out it is 0; regions lie on the canvas, and so within reach. Positions are computed in single precision.
    """
    from torchvision.ops import roi_align

    image = torch.cat([one.new_full((len(one), 1), i) for i, one in enumerate(regions)])
    every = torch.cat((image, torch.cat(tuple(regions))), dim=1)
    level = levels(every[:, 1:], settings)
    out = maps[0].new_empty((len(every), maps[0].shape[1], side, side))
    for k in range(settings.readable):
        at = torch.nonzero(level == k)[:, 0]
        out[at] = roi_align(
            maps[k],
            every[at].to(maps[k].dtype),
            side,
            1 / settings.strides[k],
            settings.samples,
            aligned=settings.exact,
        )
    return out
