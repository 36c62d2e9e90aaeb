"""Layers of pictures on clips: ⟨N,C,T,H,W⟩ seen as more pictures, or as taller ones.

What a layer does to every frame alone is done to N·T pictures, what it does to every channel of a clip is done to a picture
of T·H rows. Clips lie channels-last, ⟨N,T,H,W,C⟩ in memory: then both are other views of the same numbers, and nothing is
copied. So one layer serves both, its weights have the shapes that they have for pictures, and its kernels are as quick.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["Framewise", "channels_last", "each_frame", "one_picture", "whole_clip"]

T = TypeVar("T", Tensor, nn.Module)
_CLIP = 5  # axes

Forward = Callable[[Any, Tensor], Tensor]


def channels_last(value: T) -> T:
    """A batch, or a module with its weights, laid out with the channels last, of pictures and of clips."""
    if isinstance(value, Tensor):
        layouts = {4: torch.channels_last, _CLIP: torch.channels_last_3d}
        return value.to(memory_format=layouts[value.ndim]) if value.ndim in layouts else value
    return value._apply(channels_last)


def each_frame(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`layer` on the frames of clips ⟨N,C,T,H,W⟩, as on N·T pictures."""
    # The first layer lays clips out; behind it this is no copy. A graph that is exported has one layout only.
    laid = x if torch.compiler.is_exporting() else x.contiguous(memory_format=torch.channels_last_3d)
    frames = laid.transpose(1, 2)
    out = layer(frames.flatten(0, 1))
    return out.unflatten(0, frames.shape[:2]).transpose(1, 2)


def one_picture(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`layer` on clips ⟨N,C,T,H,W⟩ as on pictures of T·H rows: for layers to which places are all alike."""
    return layer(x.flatten(2, 3)).unflatten(2, x.shape[2:4])


class Framewise:
    """A module for pictures that reads every frame of a clip alone; with `over` above 1, the first of every `over`."""

    over: int = 1
    forward: Callable[[Tensor], Tensor]

    def on_clips(self, x: Tensor) -> Tensor:
        """⟨N,C,T,H,W⟩ -> ⟨N,O,ceil(T/over),...⟩."""
        x = x if self.over == 1 else x[:, :, :: self.over]
        if getattr(self, "kernel_size", None) == getattr(self, "stride", None) == (1, 1):  # all places are alike
            return one_picture(self.forward, x)
        return each_frame(self.forward, x)


def whole_clip(forward: Forward) -> Forward:
    """A method of a module for pictures that takes clips, too, each as one picture of T·H rows."""

    @wraps(forward)
    def both(self: Any, x: Tensor) -> Tensor:
        return forward(self, x) if x.ndim < _CLIP else one_picture(lambda rows: forward(self, rows), x)

    return both
