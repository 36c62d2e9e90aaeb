"""The module of a detector's head."""

from __future__ import annotations

from torch import Tensor, nn

from ....layers.detection import Detections, Settings, find

__all__ = ["Detector"]


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
        height, width = (side * self.settings.strides[0] for side in maps[0].shape[2:])
        return find(self, maps, (height, width), self.settings)
