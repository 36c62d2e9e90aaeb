"""Which truth each anchor and each region stands for in training, and which of them are trained on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .settings import Settings

__all__ = ["Assigned", "assigned_anchors", "assigned_regions", "overlaps", "sampled"]


class Assigned(NamedTuple):
    """For M boxes: the number of the `truth` each stands for ⟨M⟩ int64, meaningful where `positive`; the boxes that hold something,
    and those that hold nothing, both ⟨M⟩ bool. What is neither is not trained on."""

    truth: Tensor
    positive: Tensor
    negative: Tensor


def overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """The IoU of `boxes` ⟨n,4⟩ with `others` ⟨m,4⟩: ⟨n,m⟩."""
    x1, y1, x2, y2 = boxes[:, :, None].unbind(1)
    u1, v1, u2, v2 = others.t().contiguous()  # rows that are read in one go: there may be 260,000 anchors
    common = (torch.minimum(x2, u2) - torch.maximum(x1, u1)).clamp_min_(0)
    common *= (torch.minimum(y2, v2) - torch.maximum(y1, v1)).clamp_min_(0)
    every = ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1)).sub_(common)
    return common.div_(every)


def assigned_anchors(anchors: Tensor, truths: Tensor, settings: Settings) -> Assigned:
    """Of `anchors` ⟨M,4⟩ for the `truths` ⟨n,4⟩ of one image.

    An anchor stands for the truth that it overlaps most; positive from IoU `anchor_high` on, negative below `anchor_low`. The
    anchors that overlap a truth most, all of them where several do so equally, are positive whatever their IoU, though for the
    truth that they themselves overlap most (Ren et al., 2015; torchvision). A truth that no anchor meets has none: torchvision
    makes positives of all anchors that meet nothing there.
    """
    if not len(truths):
        return _nothing(len(anchors), anchors.device)
    iou = overlaps(truths, anchors)
    most, truth = iou.max(dim=0)
    nearest = iou.max(dim=1, keepdim=True).values
    closest = ((iou == nearest) & (nearest > 0)).any(dim=0)
    return Assigned(truth, (most >= settings.anchor_high) | closest, (most < settings.anchor_low) & ~closest)


def assigned_regions(regions: Tensor, truths: Tensor, settings: Settings) -> Assigned:
    """Of `regions` ⟨R,4⟩ for the `truths` ⟨n,4⟩ of one image: positive from IoU `region_high` on, else negative."""
    if not len(truths):
        return _nothing(len(regions), regions.device)
    most, truth = overlaps(truths, regions).max(dim=0)
    positive = most >= settings.region_high
    return Assigned(truth, positive, ~positive)


def sampled(positive: Tensor, negative: Tensor, n: int, share: float) -> Tensor:
    """Which are trained on ⟨N,M⟩ bool: in each row n at random, of them at most a `share` of the `positive` ⟨N,M⟩, the rest of the
    `negative`, fewer where there are fewer. Draws from torch's global generator."""
    keys = torch.rand(positive.shape, device=positive.device)
    chosen = torch.zeros_like(positive)
    wanted = min(int(n * share), positive.shape[1])
    value, at = keys.masked_fill(~positive, -1).topk(wanted, dim=1)
    chosen.scatter_(1, at, value >= 0)
    left = n - chosen.sum(dim=1, keepdim=True)
    value, at = keys.masked_fill_(~negative, -1).topk(min(n, positive.shape[1]), dim=1)
    first = torch.arange(at.shape[1], device=at.device) < left
    return chosen | torch.zeros_like(chosen).scatter_(1, at, (value >= 0) & first)


def _nothing(n: int, device: torch.device) -> Assigned:
    no = torch.zeros(n, dtype=torch.bool, device=device)
    return Assigned(torch.zeros(n, dtype=torch.int64, device=device), no, ~no)
