"""From stored bytes to what a network eats."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Normalise"]


class Normalise(nn.Module):
    """uint8 images in, (x / 255 - mean) / std out: float32, channels last, on the device this module is on. So are clips
    ⟨N,C,T,H,W⟩, whose frames stand one below the other while it is done.

    `mean` and `std` are per channel, on the scale from 0 to 1. Bytes cross to the device, which is a quarter of the
    traffic, and are turned there into floats by one multiplication and one addition.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ValueError(f"mean {mean} and std {std}: as many of each as channels, and every std above 0")
        middle, spread = (torch.tensor(value, dtype=torch.float64) for value in (mean, std))
        self.register_buffer("scale", (1 / (255 * spread)).float(), persistent=False)
        self.register_buffer("shift", (-middle / spread).float(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        images = images.to(self.scale.device, non_blocking=True)
        if images.ndim == 5:
            tall: Tensor = self(images.flatten(2, 3))
            apart: Tensor = tall.unflatten(2, images.shape[2:4])  # type: ignore[no-untyped-call]
            return apart
        n, channels, height, width = images.shape
        # Whole rows of pixels against a row of constants: a loop over three channels would not vectorise (4x slower).
        rows = images.permute(0, 2, 3, 1).reshape(n, height, width * channels).float()
        rows = torch.addcmul(self.shift.repeat(width), rows, self.scale.repeat(width))
        return rows.view(n, height, width, channels).permute(0, 3, 1, 2)
