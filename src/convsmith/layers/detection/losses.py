"""The five losses of Mask R-CNN, in torchvision's form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .assigning import assigned_anchors, sampled
from .coding import encoded
from .settings import Settings

__all__ = ["BETA", "anchor_losses", "mask_loss", "region_losses"]

BETA = 1 / 9  # where the box losses turn from squares to straight lines


def anchor_losses(
    scores: Tensor, deltas: Tensor, anchors: Tensor, truths: Sequence[Tensor], settings: Settings
) -> tuple[Tensor, Tensor]:
    """Of `scores` ⟨N,M⟩ and `deltas` ⟨N,M,4⟩ for `anchors` ⟨M,4⟩, with the `truths` ⟨n_i,4⟩ of each image.

        objectness = 1/|S| Σ_S BCE(score, positive),   anchors = 1/|S| Σ_{positive in S} Σ_4 smoothL1(delta - encoded truth)

    over the sample S of all images, at most `anchor_samples` each; smoothL1(d) = d² / 2β below β = 1/9, |d| - β/2 from there.
    Frameworks scale these differently (TensorFlow's by 1/9, over all positives), so losses are no measure across them.
    """
    of = [assigned_anchors(anchors, own, settings) for own in truths]
    positive = torch.stack([one.positive for one in of])
    negative = torch.stack([one.negative for one in of])
    chosen = sampled(positive, negative, settings.anchor_samples, settings.anchor_positive)
    n = chosen.sum().clamp_min(1)
    wrong = F.binary_cross_entropy_with_logits(scores[chosen], positive[chosen].to(scores.dtype), reduction="sum")
    image, at = torch.nonzero(chosen & positive, as_tuple=True)
    # Positives of an image without truths do not exist, so an empty list never meets an index.
    starts = torch.tensor([0, *(len(own) for own in truths)], device=scores.device).cumsum(0)
    truth = torch.stack([one.truth for one in of])[image, at] + starts[image]
    wanted = encoded(torch.cat(tuple(truths))[truth], anchors[at])
    off = F.smooth_l1_loss(deltas[image, at], wanted, beta=BETA, reduction="sum")
    return wrong / n, off / n


def region_losses(scores: Tensor, deltas: Tensor, labels: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Of the box head's `scores` ⟨S,n+1⟩ and `deltas` ⟨S,4(n+1)⟩, with the `labels` ⟨S⟩ (0 of nothing) and the encoded truths
    `wanted` ⟨S,4⟩:

        classes = 1/S Σ CE(scores, label),   boxes = 1/S Σ_{label > 0} Σ_4 smoothL1(the label's deltas - wanted)
    """
    n = max(len(labels), 1)
    classes = F.cross_entropy(scores, labels, reduction="sum") / n
    at = torch.nonzero(labels > 0)[:, 0]
    own = deltas.unflatten(1, (scores.shape[1], 4))[at, labels[at]]
    return classes, F.smooth_l1_loss(own, wanted[at], beta=BETA, reduction="sum") / n


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The mean over positives and cells of BCE(logits of the label ⟨P,S,S⟩, `targets` ⟨P,S,S⟩ in 0..1): of `logits` ⟨P,n+1,S,S⟩
    those of other classes are left alone. 0 of no positives."""
    own = logits[torch.arange(len(labels), device=labels.device), labels]
    return F.binary_cross_entropy_with_logits(own, targets, reduction="sum") / max(own.numel(), 1)
