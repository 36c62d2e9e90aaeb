"""Activation names to modules."""

from __future__ import annotations

from torch import nn

from ..arch import Act

__all__ = ["activation"]


def activation(act: Act) -> nn.Module:
    """A module for `act`, in place where torch can: the maps before it are not needed again."""
    match act:
        case Act.NONE:
            return nn.Identity()
        case Act.RELU:
            return nn.ReLU(inplace=True)
        case Act.RELU6:
            return nn.ReLU6(inplace=True)
        case Act.SILU:
            return nn.SiLU(inplace=True)
        case Act.HARD_SWISH:
            return nn.Hardswish(inplace=True)
        case Act.GELU:
            return nn.GELU()
        case Act.SIGMOID:
            return nn.Sigmoid()
