"""What a detector found in a batch, and how the box head's answers become it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .coding import REGION_WEIGHTS, clipped, decoded
from .nms import kept
from .settings import Settings

__all__ = ["Detections", "detected"]


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in N images, best first, D places an image, of which the last are empty where less was found.

    `boxes` ⟨N,D,4⟩ (x1, y1, x2, y2) in pixels of the canvas; `scores` ⟨N,D⟩ and `labels` ⟨N,D⟩ int64, both 0 in an empty
    place: classes are 1..n. `masks` ⟨N,D,28,28⟩ are the probabilities of the label over the box, None of a detector without.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, part: slice) -> Detections:
        masks = None if self.masks is None else self.masks[part]
        return Detections(self.boxes[part], self.scores[part], self.labels[part], masks)

    @property
    def counts(self) -> Tensor:
        """How much was found in each image ⟨N⟩."""
        return (self.labels > 0).sum(1)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Detections:
        masks = None if self.masks is None else self.masks.to(device, non_blocking=non_blocking)
        boxes, scores, labels = (
            one.to(device, non_blocking=non_blocking) for one in (self.boxes, self.scores, self.labels)
        )
        return Detections(boxes, scores, labels, masks)


def detected(
    scores: Tensor, deltas: Tensor, regions: Sequence[Tensor], canvas: tuple[int, int], settings: Settings
) -> Detections:
    """The final boxes, without masks, of the box head's `scores` ⟨R,n+1⟩ and `deltas` ⟨R,4(n+1)⟩ for `regions`, ⟨R_i,4⟩ of
    each image one after another.

    Softmax over all n + 1; each class's box decoded from its region and clipped to the canvas; scores above `settings.score`
    and sides of `settings.least` or more stay; NMS class by class at `settings.overlap`; the `settings.found` best of all.
    """
    n = scores.shape[1] - 1
    places = settings.found
    probabilities = F.softmax(scores, dim=1)[:, 1:]
    origins = torch.cat(tuple(regions))
    boxes = scores.new_zeros((len(regions), places, 4))
    best = scores.new_zeros((len(regions), places))
    labels = torch.zeros((len(regions), places), dtype=torch.int64, device=scores.device)
    # Only what scores is decoded: of 1000 regions and 90 classes that is a few hundred pairs in a trained network.
    image = torch.repeat_interleave(
        torch.arange(len(regions), device=scores.device),
        torch.tensor([len(one) for one in regions], device=scores.device),
    )
    region, label = torch.nonzero(probabilities > settings.score, as_tuple=True)
    own = decoded(deltas.unflatten(1, (n + 1, 4))[region, label + 1], origins[region], REGION_WEIGHTS)
    own = clipped(own, canvas)
    wide = ((own[:, 2:] - own[:, :2]) >= settings.least).all(1)
    region, label, own = region[wide], label[wide], own[wide]
    of, score = image[region], probabilities[region, label]
    order = kept(own, score, of * n + label, settings.overlap)
    own, score, label, of = own[order], score[order], label[order] + 1, of[order]
    for i in range(len(regions)):
        here = torch.nonzero(of == i)[:places, 0]
        boxes[i, : len(here)], best[i, : len(here)], labels[i, : len(here)] = own[here], score[here], label[here]
    return Detections(boxes, best, labels)
