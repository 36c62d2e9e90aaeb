"""Non-maximum suppression, group by group."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["best", "kept"]


def kept(boxes: Tensor, scores: Tensor, groups: Tensor, overlap: float) -> Tensor:
    """The numbers of the boxes that stay, best first: of `boxes` ⟨n,4⟩ with `scores` ⟨n⟩ and `groups` ⟨n⟩ int64 from 0 on.

    A box falls where a better one of its group that stays has IoU above `overlap` with it; an IoU equal to it stays. Of equal
    scores the earlier is the better one.
    """
    if not len(boxes):
        return torch.zeros(0, dtype=torch.int64, device=boxes.device)
    stays = (_together if boxes.is_cuda else _group_by_group)(boxes, scores, groups, overlap).sort().values
    return stays[scores[stays].argsort(descending=True, stable=True)]


def _group_by_group(boxes: Tensor, scores: Tensor, groups: Tensor, overlap: float) -> Tensor:
    """The cost grows with the square of a group, so that on a CPU groups are better taken one by one."""
    from torchvision.ops import nms  # two seconds, which everything else need not wait for

    order = torch.sort(groups, stable=True).indices
    parts = order.split(torch.bincount(groups).tolist())
    return torch.cat([part[nms(boxes[part], scores[part], overlap)] for part in parts if len(part)])


def _together(boxes: Tensor, scores: Tensor, groups: Tensor, overlap: float) -> Tensor:
    """One call for all groups, which are moved apart: in float64, where the move costs no accuracy."""
    from torchvision.ops import nms

    wide = boxes.double()
    apart = (wide.max() - wide.min() + 1) * groups
    return nms(wide + apart[:, None], scores.double(), overlap)


def best(scores: Tensor, n: int) -> Tensor:
    """Where the n largest of each row of `scores` ⟨N,M⟩ stand ⟨N,min(n,M)⟩, largest first, of equal ones the earlier first."""
    at = scores.topk(min(n, scores.shape[1]), dim=1, sorted=False).indices.sort(dim=1).values
    order = scores.gather(1, at).argsort(dim=1, descending=True, stable=True)
    return at.gather(1, order)
