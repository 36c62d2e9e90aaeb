"""Group normalisation that any map may enter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["GroupNorm2d"]


class GroupNorm2d(nn.GroupNorm):
    """`nn.GroupNorm`, but a group of one value (a channel of a map that has shrunk to one pixel) becomes the bias, as the
    formula says, where torch refuses it: a network scaled down may end there, and has a cost there."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
