"""Activation names to modules."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..arch import Act

__all__ = ["activation", "norm_act"]


def norm_act(name: str, norm: nn.Module, act: Act, *, activate: bool, zero: bool) -> nn.Sequential:
    """`norm` under `name`, then `act` where it is wanted. `zero` starts the norm's scale at 0."""
    if zero:
        nn.init.zeros_(norm.get_parameter("weight"))
    parts = OrderedDict({name: norm})
    if activate and act is not Act.NONE:
        parts["act"] = activation(act)
    return nn.Sequential(parts)


def activation(act: Act, *, inplace: bool = True) -> nn.Module:
    """A module for `act`, in place where torch can, unless the map before it is needed again."""
    match act:
        case Act.NONE:
            return nn.Identity()
        case Act.RELU:
            return nn.ReLU(inplace=inplace)
        case Act.RELU6:
            return nn.ReLU6(inplace=inplace)
        case Act.SILU:
            return _SiLU(inplace=True) if inplace else nn.SiLU()
        case Act.HARD_SWISH:
            return _Hardswish(inplace=True) if inplace else nn.Hardswish()
        case Act.GELU:
            return nn.GELU()
        case Act.SIGMOID:
            return nn.Sigmoid()
        case Act.HARD_SIGMOID:
            return nn.Hardsigmoid(inplace=inplace)


# The gradients of these two are of what came in. Where one is wanted, torch copies that before it is overwritten: a tenth of a
# training step of a small MBConv network. So they work in place only where none is.


class _SiLU(nn.SiLU):
    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x, inplace=self.inplace and not torch.is_grad_enabled())


class _Hardswish(nn.Hardswish):
    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(x, inplace=self.inplace and not torch.is_grad_enabled())
