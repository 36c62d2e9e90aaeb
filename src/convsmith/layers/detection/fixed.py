"""Finding with tensors whose sizes do not depend on the image: what an exported file does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .coding import REGION_WEIGHTS, clipped, decoded
from .passes import BOX_SIDE, MASK_SIDE, Head
from .pooling import levels
from .proposals import flat_deltas, flat_scores
from .settings import Settings

__all__ = ["find_fixed"]

# Pairs of a region and a class that go on to the last suppression. A score is above 0.05 in 20 classes of a region at most, and in
# a trained network in one or two.
_PAIRS = 2000


def find_fixed(head: Head, maps: Sequence[Tensor], canvas: tuple[int, int], settings: Settings) -> tuple[Tensor, ...]:
    """`passes.find` of one image, without a step that depends on how much is found: boxes ⟨1,D,4⟩, scores ⟨1,D⟩, labels ⟨1,D⟩ and,
    of a head with masks, ⟨1,D,28,28⟩. The last places are empty: score 0 and label 0.

    Regions that suppression leaves out keep their place with a score below all others, and as many regions as the settings
    name are always read. It finds what `find` finds, unless more than 2,000 pairs of a region and a class score above the
    threshold: then the best 2,000 are looked at.
    """
    if len(maps[0]) != 1:
        raise ValueError(f"one image at a time; got {len(maps[0])}")
    regions, there = _regions(head, maps, canvas, settings)
    classes, moves = head.box(_pooled(maps, regions, BOX_SIDE, settings))
    boxes, scores, labels = _chosen(classes, moves, regions, there, canvas, settings)
    if head.mask is None:
        return boxes[None], scores[None], labels[None]
    logits = head.mask(_pooled(maps, boxes, MASK_SIDE, settings))
    at = labels[:, None, None, None].expand(-1, 1, *logits.shape[2:])
    masks = logits.gather(1, at)[:, 0].sigmoid() * (labels > 0)[:, None, None]
    return boxes[None], scores[None], labels[None], masks[None]


def _regions(head: Head, maps: Sequence[Tensor], canvas: tuple[int, int], settings: Settings) -> tuple[Tensor, Tensor]:
    """The best regions ⟨R,4⟩, and whether there is one in each place ⟨R⟩."""
    from torchvision.ops import nms

    scores, deltas = head.rpn(*maps)
    sides = [(int(one.shape[2]), int(one.shape[3])) for one in scores]
    anchors = settings.anchors.over(sides, canvas, scores[0].device)
    boxes, values = [], []
    for score, delta, anchor in zip(flat_scores(scores), flat_deltas(deltas), anchors, strict=True):
        best = score[0].topk(min(settings.candidates[1], score.shape[1]))
        own = clipped(decoded(delta[0][best.indices], anchor.to(delta.dtype)[best.indices]), canvas)
        wide = ((own[:, 2:] - own[:, :2]) >= settings.smallest).all(1)
        stays = _marked(nms(own, best.values, settings.region_overlap), len(own)) & wide
        boxes.append(own)
        values.append(best.values.masked_fill(~stays, -torch.inf))
    every = torch.cat(values)
    chosen = every.topk(min(settings.regions[1], len(every)))
    return torch.cat(boxes)[chosen.indices], chosen.values > -torch.inf


def _pooled(maps: Sequence[Tensor], regions: Tensor, side: int, settings: Settings) -> Tensor:
    """`pooling.pooled`, every region read from every map and the right one taken: few multiply-adds beside what reads them."""
    from torchvision.ops import roi_align

    every = F.pad(regions, (1, 0))
    level = levels(regions, settings)
    out = torch.zeros(())
    for k in range(settings.readable):
        read = roi_align(maps[k], every, side, 1 / settings.strides[k], settings.samples, aligned=settings.exact)
        out = read if k == 0 else torch.where((level == k)[:, None, None, None], read, out)
    return out


def _chosen(
    classes: Tensor, moves: Tensor, regions: Tensor, there: Tensor, canvas: tuple[int, int], settings: Settings
) -> tuple[Tensor, Tensor, Tensor]:
    """The best boxes of all classes ⟨D,4⟩, their scores ⟨D⟩ and labels ⟨D⟩."""
    from torchvision.ops import nms

    n = classes.shape[1] - 1
    probabilities = classes.softmax(1)[:, 1:]
    own = decoded(moves.unflatten(1, (n + 1, 4))[:, 1:], regions[:, None].expand(-1, n, -1), REGION_WEIGHTS)
    own = clipped(own, canvas)
    wide = ((own[..., 2:] - own[..., :2]) >= settings.least).all(2)
    valid = wide & there[:, None] & (probabilities > settings.score)
    pairs = (probabilities * valid).flatten().topk(min(_PAIRS, n * len(regions)))
    boxes, scores = own.flatten(0, 1)[pairs.indices], pairs.values
    label = pairs.indices % n
    # Classes are moved apart, side by side in a square, so that one suppression serves all: far from 0 a float has few digits.
    row = math.ceil(math.sqrt(n))
    apart = torch.stack(((label % row) * (canvas[1] + 1), (label // row) * (canvas[0] + 1)), dim=1).to(boxes.dtype)
    stays = _marked(nms(boxes + apart.repeat(1, 2), scores, settings.overlap), len(boxes))
    last = (scores * stays).topk(min(settings.found, len(boxes)))
    found = last.values > 0
    return boxes[last.indices] * found[:, None], last.values, (label[last.indices] + 1) * found


def _marked(numbers: Tensor, n: int) -> Tensor:
    """Whether each of n is among `numbers` ⟨n⟩."""
    return torch.zeros(n, device=numbers.device).index_fill(0, numbers, 1.0) > 0
