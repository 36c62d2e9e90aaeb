"""timm's networks without their numbers, each built once for all that is asked of it."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

__all__ = ["on_meta"]


@cache
def on_meta(name: str) -> nn.Module:
    import timm

    with torch.device("meta"):
        made: nn.Module = timm.create_model(name)
    return made
