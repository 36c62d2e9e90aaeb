"""The units all blocks are made of."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

from torch import nn

from ..arch import Mixer, Norm, Padding, Style
from ..layers import ConvNorm, Gained, MaxPool2d, SameMaxPool2d
from ..ranges import odd
from .acts import activation
from .convs.plain import PlainConv
from .norms.none import NoNorm

__all__ = ["conv_norm", "max_pool", "mixed", "odd", "opening", "own_style", "rarely", "spatial_conv"]


def conv_norm(
    style: Style,
    c_in: int,
    c_out: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
    temporal: int = 1,
    over: int = 1,
    activate: bool = True,
    zero: bool = False,
) -> nn.Module:
    """A convolution in the network's style, then its normalisation and activation."""
    more = rarely(dilation=dilation, temporal=temporal, over=over)
    conv = style.conv.build(c_in, c_out, kernel, stride=stride, groups=groups, **more)
    return ConvNorm(conv, style.norm.build(c_out, activate=activate, zero=zero))


def rarely(**options: int) -> dict[str, Any]:
    """Those of a convolution's options that are more than 1: a part of a user's own need not know the others."""
    return {name: value for name, value in options.items() if value != 1}


def mixed(style: Style, mixer: Mixer, channels: int, *, stride: int, sides: tuple[int, ...]) -> nn.Module:
    """A mixer where a convolution stood, then the network's normalisation and activation."""
    module = mixer.build(channels, stride=stride, sides=sides, style=style)
    return nn.Sequential(OrderedDict(mixer=module, norm=style.norm.build(channels)))


def opening(norm: Norm, channels: int, variance: float = 1.0) -> nn.Module:
    """The norm-act in front of a unit. It leaves its input as it came, which a skip or a tap still needs. Without a norm the
    input's expected `variance` is taken out behind the activation, where normaliser-free blocks have their 1/beta."""
    if isinstance(norm, NoNorm):
        return Gained(activation(norm.act, inplace=False), norm.factor / variance**0.5)
    return norm.build(channels)


def max_pool(style: Style, kernel: int = 3, stride: int = 2, over: int = 1) -> nn.Module:
    """A max-pool that makes ceil(side / stride) of a side, padded as the network's convolutions are; a stem's is 3x3 with
    stride 2. Of every `over` frames of a clip it takes the first."""
    if style.conv.padding is Padding.SAME:
        pool: MaxPool2d = SameMaxPool2d(kernel, stride)
    else:
        pool = MaxPool2d(kernel, stride, padding=kernel // 2)
    pool.over = over
    return pool


def own_style(style: Style, norm: Norm | None) -> Style:
    """The style of a neck or a head: the network's, or `norm` behind plain convolutions where it has a norm of its own."""
    return style if norm is None else replace(style, norm=norm, conv=PlainConv(padding=style.conv.padding))


def spatial_conv(
    style: Style, c_in: int, c_out: int, *, stride: int = 1, bias: bool = True, separable: bool = False
) -> nn.Module:
    """A bare 3x3 convolution; `separable`, a depthwise one and a 1x1 convolution, which alone has the bias."""
    if not separable:
        return style.conv.build(c_in, c_out, 3, stride=stride, bias=bias)
    return nn.Sequential(
        OrderedDict(
            depthwise=style.conv.build(c_in, c_in, 3, stride=stride, groups=c_in),
            pointwise=style.conv.build(c_in, c_out, 1, bias=bias),
        )
    )
