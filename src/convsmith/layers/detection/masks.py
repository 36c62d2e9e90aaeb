"""What the mask head should put out for a region: the truth's mask, seen through the region's own grid."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["from_crops", "from_pictures"]


def from_crops(crops: Tensor, boxes: Tensor, regions: Tensor, side: int) -> Tensor:
    """Targets ⟨P,side,side⟩ in 0..1 for `regions` ⟨P,4⟩, of masks ⟨P,K,K⟩ that are drawn over the `boxes` ⟨P,4⟩ of their truths.

    A target's cell is the mean, over its area, of the mask between the K x K cells' centres, 0 outside the box:

        out = Y crop Xᵀ,  Y[i, k] = 1/|b_i| ∫ over bin b_i of max(0, 1 - |t - k|) dt

    with the bins of the region measured in cells of the crop, and X likewise. Nothing is rounded, so that a region as large as
    its truth has the truth's own mask. Float32, or float64 where regions are.
    """
    size = (boxes[:, 2:] - boxes[:, :2]).clamp_min(torch.finfo(boxes.dtype).tiny)
    start = (regions[:, :2] - boxes[:, :2]) / size * crops.shape[-1] - 0.5
    end = (regions[:, 2:] - boxes[:, :2]) / size * crops.shape[-1] - 0.5
    across, down = (_bins(start[:, axis], end[:, axis], side, crops.shape[-1]) for axis in (0, 1))
    return torch.bmm(torch.bmm(down, crops.to(regions.dtype)), across.transpose(1, 2)).clamp(0, 1)


def from_pictures(masks: Tensor, regions: Tensor, truth: Tensor, side: int, *, aligned: bool = True) -> Tensor:
    """Targets ⟨P,side,side⟩ for `regions` ⟨P,4⟩ of `masks` ⟨T,height,width⟩ on the canvas, each region of mask `truth` ⟨P⟩.

    It is RoIAlign with as many points in a bin as pixels; `aligned` False is half a pixel off, as torchvision trains.
    """
    from torchvision.ops import roi_align

    rois = torch.cat((truth[:, None].to(regions.dtype), regions), dim=1)
    return roi_align(masks[:, None].to(regions.dtype), rois, side, 1.0, aligned=aligned)[:, 0]


def _bins(start: Tensor, end: Tensor, side: int, cells: int) -> Tensor:
    """The shares ⟨P,side,cells⟩ that cells at 0, 1, ... have in `side` equal bins from `start` ⟨P⟩ to `end` ⟨P⟩."""
    edges = torch.lerp(
        start[:, None], end[:, None], torch.linspace(0, 1, side + 1, device=start.device, dtype=start.dtype)
    )
    t = (edges[:, :, None] - torch.arange(cells, device=start.device)).clamp(-1, 1)
    # The integral of the hat max(0, 1 - |t|) from -1 on.
    area = 0.5 + t - 0.5 * t * t.abs()
    width = ((end - start) / side).clamp_min(torch.finfo(start.dtype).tiny)
    return area.diff(dim=1) / width[:, None, None]
