"""Batch normalisation of pictures and clips."""

from __future__ import annotations

from torch import Tensor, nn

from .clips import whole_clip

__all__ = ["BatchNorm2d"]


class BatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d`, of clips over their frames, too."""

    @whole_clip
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)
