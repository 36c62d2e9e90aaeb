"""The units all blocks are made of."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from ..arch import Mixer, Norm, Padding, Style
from ..layers import ConvNorm, Gained, SameMaxPool2d
from ..ranges import OutOfRange
from .acts import activation
from .norms.none import NoNorm

__all__ = ["conv_norm", "max_pool", "mixed", "odd", "opening"]

_WIDEST = 1023  # of kernels and scopes


def conv_norm(
    style: Style,
    c_in: int,
    c_out: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
    activate: bool = True,
    zero: bool = False,
) -> nn.Module:
    """A convolution in the network's style, then its normalisation and activation."""
    if dilation == 1:
        conv = style.conv.build(c_in, c_out, kernel, stride=stride, groups=groups)
    else:
        conv = style.conv.build(c_in, c_out, kernel, stride=stride, groups=groups, dilation=dilation)
    return ConvNorm(conv, style.norm.build(c_out, activate=activate, zero=zero))


def mixed(style: Style, mixer: Mixer, channels: int, *, stride: int, sides: tuple[int, ...]) -> nn.Module:
    """A mixer where a convolution stood, then the network's normalisation and activation."""
    module = mixer.build(channels, stride=stride, sides=sides, style=style)
    return nn.Sequential(OrderedDict(mixer=module, norm=style.norm.build(channels)))


def opening(norm: Norm, channels: int) -> nn.Module:
    """The norm-act in front of a unit. It leaves its input as it came, which a skip or a tap still needs."""
    if isinstance(norm, NoNorm):
        return Gained(activation(norm.act, inplace=False), norm.factor)
    return norm.build(channels)


def max_pool(style: Style) -> nn.Module:
    """A stem's 3x3 max-pool with stride 2, padded as the network's convolutions are."""
    return SameMaxPool2d(3, 2) if style.conv.padding is Padding.SAME else nn.MaxPool2d(3, 2, padding=1)


def odd(name: str, kernel: int) -> None:
    """Refuse an even kernel: it has no centre, so maps would shift and shrink."""
    if not 1 <= kernel <= _WIDEST or kernel % 2 == 0:
        raise OutOfRange(f"{name} must be odd, from 1 to {_WIDEST}; got {kernel}")
