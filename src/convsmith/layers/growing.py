"""Residual units that enlarge a map or shrink it, for networks that make images and networks that judge them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .residual import DropPath

__all__ = ["Appended", "FirstChannels", "Growing"]


class Growing(nn.Module):
    """skip(x) + drop(branch(x, c)): convolutions, before each a norm that is told the condition c.

    The map is enlarged by `factor` before convolution `at`, each cell repeated; the skip enlarges it likewise.
    """

    def __init__(
        self,
        norms: Sequence[nn.Module],
        convs: Sequence[nn.Module],
        skip: nn.Module,
        *,
        factor: int,
        at: int,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norms, self.convs = nn.ModuleList(norms), nn.ModuleList(convs)
        self.skip = skip
        self.up: nn.Module = nn.Identity() if factor == 1 else nn.Upsample(scale_factor=factor)
        self.at = at
        self.drop: nn.Module = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        out = x
        for index, (norm, conv) in enumerate(zip(self.norms, self.convs, strict=True)):
            out = norm(out, condition)
            out = conv(self.up(out) if index == self.at else out)
        skip: Tensor = self.skip(self.up(x))
        return skip + self.drop(out)


class FirstChannels(nn.Module):
    """The first `channels` channels of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : self.channels]

    def extra_repr(self) -> str:
        return str(self.channels)


class Appended(nn.Module):
    """A map with the channels behind it that `more` makes of it."""

    def __init__(self, more: nn.Module) -> None:
        super().__init__()
        self.more = more

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.more(x)), 1)
