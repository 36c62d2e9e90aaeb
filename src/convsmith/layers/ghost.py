"""The ghost module (Han et al., 2020): half of the maps are computed, the other half derived from them cheaply."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Ghost"]


class Ghost(nn.Module):
    """concat(primary(x), cheap(primary(x))), cut to `channels`: ⟨N,C,H,W⟩ -> ⟨N,channels,H,W⟩.

    `primary` puts out ceil(channels / 2) maps, `cheap` is depthwise over them.
    """

    def __init__(self, primary: nn.Module, cheap: nn.Module, channels: int) -> None:
        super().__init__()
        self.primary = primary
        self.cheap = cheap
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        maps = self.primary(x)
        return torch.cat((maps, self.cheap(maps)), dim=1)[:, : self.channels]
