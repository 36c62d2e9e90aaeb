"""The module of a detector's head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....layers.detection import Detections, Settings, find, find_fixed

__all__ = ["Deployed", "Detector"]


class Detector(nn.Module):
    """Proposals, boxes and masks, which training calls one by one, and what is found by all of them together.

    `rpn(*maps)` -> scores ⟨N,A,h,w⟩ and deltas ⟨N,4A,h,w⟩ of each map; `box(regions ⟨R,C,7,7⟩)` -> scores ⟨R,n+1⟩ and deltas
    ⟨R,4(n+1)⟩; `mask(regions ⟨R,C,14,14⟩)` -> logits ⟨R,n+1,28,28⟩, None without masks. Class 0 is the background.
    """

    def __init__(self, rpn: nn.Module, box: nn.Module, mask: nn.Module | None, settings: Settings) -> None:
        super().__init__()
        self.rpn, self.box, self.mask = rpn, box, mask
        self.settings = settings

    def forward(self, maps: tuple[Tensor, ...]) -> Detections:
        """What is found on a canvas of as many pixels as the finest map has cells times its stride."""
        return find(self, maps, self.canvas(maps), self.settings)

    def canvas(self, maps: tuple[Tensor, ...]) -> tuple[int, int]:
        """Its height and width."""
        height, width = (int(side) * self.settings.strides[0] for side in maps[0].shape[2:])
        return height, width


class Deployed(nn.Module):
    """What is found as a file puts it out: boxes ⟨N,D,4⟩, scores ⟨N,D⟩, labels ⟨N,D⟩ and with masks ⟨N,D,28,28⟩. In a file N is 1,
    and the same work is done for every image (`layers.detection.fixed`)."""

    def __init__(self, head: Detector) -> None:
        super().__init__()
        self.head = head

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if torch.compiler.is_exporting():
            return find_fixed(self.head, maps, self.head.canvas(maps), self.head.settings)
        found = self.head(maps)
        kept = (found.boxes, found.scores, found.labels)
        return kept if found.masks is None else (*kept, found.masks)
