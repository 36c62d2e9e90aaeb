"""Weights of a network for pictures onto the same network for clips."""

from __future__ import annotations

from enum import StrEnum

import torch

from ..arch import ArchSpec
from ..layers import Conv3d
from ..model import build
from .maps import State

__all__ = ["Start", "inflate"]


class Start(StrEnum):
    """How a kernel over several frames begins with that for one. centre: it is that of the middle frame, the others zeros, so
    that every frame is seen alone at first. mean: each frame has an equal share of it. On a clip on which nothing moves both
    give what the network for pictures gives of the picture; with `mean` only where the edges of clips are repeated."""

    CENTRE = "centre"
    MEAN = "mean"


@torch.no_grad()
def inflate(state: State, spec: ArchSpec, start: Start = Start.CENTRE) -> State:
    """`state`, of the network for pictures that `spec` was inflated from, as `spec`'s network for clips takes it.

    Source: Carreira and Zisserman (2017) for equal shares; the centre is Xie et al.'s (2018) and later practice.
    """
    carried = dict(state)
    for name, layer in build(spec, device="meta").named_modules():
        if isinstance(layer, Conv3d):
            held = {key: state[f"{name}.{key}"] for key in ("weight", "gain") if f"{name}.{key}" in state}
            if held["weight"].ndim < layer.weight.ndim:
                made = layer.of_pictures(held, mean=start is Start.MEAN)
                carried |= {f"{name}.{key}": tensor for key, tensor in made.items()}
    return carried
