"""The two ways through a detector: what it finds, and what it should learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from .assigning import assigned_regions, sampled
from .coding import REGION_WEIGHTS, encoded
from .detections import Detections, detected
from .losses import anchor_losses, mask_loss, region_losses
from .masks import from_crops, from_pictures
from .pooling import pooled
from .proposals import flat_deltas, flat_scores, proposals
from .settings import Settings

__all__ = ["BOX_SIDE", "MASK_SIDE", "Head", "Learnt", "find", "learn"]

BOX_SIDE, MASK_SIDE = 7, 14  # cells of a region that the box head and the mask head read


class Head(Protocol):
    """A detector's three networks. With n classes, A anchors a cell and maps of C channels:

    `rpn(*maps)` puts out scores ⟨N,A,h,w⟩ and deltas ⟨N,4A,h,w⟩ of every map, as two tuples; `box` makes of regions ⟨R,C,7,7⟩
    scores ⟨R,n+1⟩ and deltas ⟨R,4(n+1)⟩; `mask` of ⟨R,C,14,14⟩ logits ⟨R,n+1,28,28⟩, None of a detector without masks.
    """

    @property
    def rpn(self) -> Callable[..., tuple[Sequence[Tensor], Sequence[Tensor]]]: ...
    @property
    def box(self) -> Callable[[Tensor], tuple[Tensor, Tensor]]: ...
    @property
    def mask(self) -> Callable[[Tensor], Tensor] | None: ...


@dataclass(frozen=True)
class Learnt:
    """What a step of training comes to: the five `losses`, each a mean over the batch, "objectness", "anchors", "classes", "boxes"
    and, of a head with masks, "masks"; and the share of the regions trained on that hold something whose likeliest class is
    theirs, `right`, 0 where none does."""

    losses: dict[str, Tensor]
    right: Tensor


def find(head: Head, maps: Sequence[Tensor], canvas: tuple[int, int], settings: Settings) -> Detections:
    """What is found in images of `canvas` (height, width) by their `maps`, fine to coarse.

    The three networks run as the caller's autocast says; everything between them in float32, or float64 where maps are.
    """
    scores, deltas = head.rpn(*maps)
    with _exactly(maps[0]):
        regions, _, _ = _proposed(scores, deltas, canvas, settings, training=False)
        read = tuple(_single(one) for one in maps)
        inside = pooled(read, regions, BOX_SIDE, settings)
    classes, moves = head.box(inside)
    with _exactly(maps[0]):
        found = detected(_single(classes), _single(moves), regions, canvas, settings)
        if head.mask is None:
            return found
        there = found.labels > 0
        last = [boxes[own] for boxes, own in zip(found.boxes, there, strict=True)]
        inside = pooled(read, last, MASK_SIDE, settings)
    logits = head.mask(inside)
    with _exactly(maps[0]):
        labels = found.labels[there]
        own = _single(logits)[torch.arange(len(labels), device=labels.device), labels].sigmoid()
        masks = own.new_zeros((*found.labels.shape, *own.shape[1:]))
        masks[there] = own
        return replace(found, masks=masks)


def learn(
    head: Head,
    maps: Sequence[Tensor],
    canvas: tuple[int, int],
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    masks: Sequence[Tensor] | None,
    settings: Settings,
    *,
    dense: bool = False,
) -> Learnt:
    """What is to be learnt from a batch.

    The truths of each image are `boxes` ⟨n_i,4⟩ on the canvas, `labels` ⟨n_i⟩ 1..n and `masks`, 0 or 1: ⟨n_i,112,112⟩ over
    each truth's own box, or with `dense` ⟨n_i,height,width⟩ over the canvas. Truths are regions too. Every network is run even
    where nothing is positive, so that every weight has a gradient. Without `masks` the mask head is not trained.
    """
    scores, deltas = head.rpn(*maps)
    with _exactly(maps[0]):
        truths = [_single(own) for own in boxes]
        regions, (flat, moved), anchors = _proposed(scores, deltas, canvas, settings, training=True)
        objectness, of_anchors = anchor_losses(flat, moved, anchors, truths, settings)
        with torch.no_grad():
            chosen = [_chosen(*each, settings) for each in zip(regions, truths, labels, strict=True)]
            label = torch.cat([one[1] for one in chosen])
            wanted = torch.cat([one[2] for one in chosen])
        read = tuple(_single(one) for one in maps)
        inside = pooled(read, [one[0] for one in chosen], BOX_SIDE, settings)
    classes, moves = head.box(inside)
    with _exactly(maps[0]):
        of_classes, of_boxes = region_losses(_single(classes), _single(moves), label, wanted)
        found = {"objectness": objectness, "anchors": of_anchors, "classes": of_classes, "boxes": of_boxes}
        right = ((classes.argmax(1) == label) & (label > 0)).sum() / (label > 0).sum().clamp_min(1)
        if head.mask is None or masks is None:
            return Learnt(found, right)
        positive = [(region[own > 0], truth[own > 0]) for region, own, _, truth in chosen]
        with torch.no_grad():
            targets = _masks(masks, truths, positive, settings, dense=dense)
        inside = pooled(read, [region for region, _ in positive], MASK_SIDE, settings)
    logits = head.mask(inside)
    with _exactly(maps[0]):
        return Learnt(found | {"masks": mask_loss(_single(logits), label[label > 0], targets)}, right)


def _proposed(
    scores: Sequence[Tensor], deltas: Sequence[Tensor], canvas: tuple[int, int], settings: Settings, *, training: bool
) -> tuple[tuple[Tensor, ...], tuple[Tensor, Tensor], Tensor]:
    """The regions of each image; all scores ⟨N,M⟩ and deltas ⟨N,M,4⟩, and their anchors ⟨M,4⟩."""
    sides = [(one.shape[2], one.shape[3]) for one in scores]
    anchors = settings.anchors.over(sides, canvas, scores[0].device)
    flat, moved = flat_scores([_single(one) for one in scores]), flat_deltas([_single(one) for one in deltas])
    anchors = tuple(one.to(flat[0].dtype) for one in anchors)
    regions = proposals(flat, moved, anchors, canvas, settings, training=training)
    return regions, (torch.cat(flat, 1), torch.cat(moved, 1)), torch.cat(anchors)


def _chosen(
    regions: Tensor, truths: Tensor, labels: Tensor, settings: Settings
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of one image, the regions that are trained on ⟨S,4⟩, their labels ⟨S⟩, encoded truths ⟨S,4⟩, and these's numbers ⟨S⟩."""
    every = torch.cat((regions, truths))
    truth, positive, negative = assigned_regions(every, truths, settings)
    own = sampled(positive[None], negative[None], settings.region_samples, settings.region_positive)[0]
    region, truth, positive = every[own], truth[own], positive[own]
    label = torch.zeros_like(truth)
    label[positive] = labels[truth[positive]].long()
    wanted = torch.zeros_like(region)
    wanted[positive] = encoded(truths[truth[positive]], region[positive], REGION_WEIGHTS)
    return region, label, wanted, truth


def _masks(
    masks: Sequence[Tensor],
    truths: Sequence[Tensor],
    positive: Sequence[tuple[Tensor, Tensor]],
    settings: Settings,
    *,
    dense: bool,
) -> Tensor:
    side = 2 * MASK_SIDE
    regions = torch.cat([region for region, _ in positive])
    if dense:
        found = [
            from_pictures(own, region, truth, side, aligned=settings.exact)
            for own, (region, truth) in zip(masks, positive, strict=True)
            if len(region)
        ]
        return torch.cat(found) if found else regions.new_zeros((0, side, side))
    crops = torch.cat([own[truth] for own, (_, truth) in zip(masks, positive, strict=True)])
    boxes = torch.cat([own[truth] for own, (_, truth) in zip(truths, positive, strict=True)])
    return from_crops(crops, boxes, regions, side)


def _single(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _exactly(x: Tensor) -> torch.autocast:
    """No autocast: boxes need more digits than half precision has."""
    return torch.autocast(x.device.type, enabled=False)
