"""The one unit all blocks are made of."""

from __future__ import annotations

from torch import nn

from ..arch import Style
from ..layers import ConvNorm

__all__ = ["conv_norm", "odd"]


def conv_norm(
    style: Style,
    c_in: int,
    c_out: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activate: bool = True,
    zero: bool = False,
) -> nn.Module:
    """A convolution in the network's style, then its normalisation and activation."""
    conv = style.conv.build(c_in, c_out, kernel, stride=stride, groups=groups)
    return ConvNorm(conv, style.norm.build(c_out, activate=activate, zero=zero))


def odd(name: str, kernel: int) -> None:
    """Refuse an even kernel: it has no centre, so maps would shift and shrink."""
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"{name} must be odd and at least 1; got {kernel}")
