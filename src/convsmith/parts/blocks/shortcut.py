"""What carries a residual block's input past a change of width or stride."""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum

from torch import nn

from ...arch import Node, Style
from ...layers import AvgPool2d
from ..units import conv_norm, rarely

__all__ = ["Shortcut", "bare_shortcut", "least_shortcut", "pooled", "shortcut"]


class Shortcut(StrEnum):
    """conv: a strided 1x1 (ResNet). pool_conv: a 2x2 average pool, then a 1x1 (ResNet-D, He et al., 2019)."""

    CONV = "conv"
    POOL_CONV = "pool_conv"


def shortcut(kind: Shortcut, node: Node, style: Style) -> nn.Module:
    """The identity where shapes agree, else the projection that `kind` names."""
    if node.keeps:
        return nn.Identity()
    if kind is Shortcut.CONV:
        return conv_norm(style, node.c_in, node.c_out, 1, stride=node.stride, over=node.over, activate=False)
    parts = pooled(node)
    parts["project"] = conv_norm(style, node.c_in, node.c_out, 1, activate=False)
    return nn.Sequential(parts)


def bare_shortcut(node: Node, style: Style, kind: Shortcut) -> nn.Module:
    """As `shortcut`, by a convolution without a norm or activation."""
    if node.keeps:
        return nn.Identity()
    if kind is Shortcut.CONV:
        conv = style.conv.build(node.c_in, node.c_out, 1, stride=node.stride, **rarely(over=node.over))
        return nn.Sequential(OrderedDict(project=conv))
    parts = pooled(node)
    parts["project"] = style.conv.build(node.c_in, node.c_out, 1)
    return nn.Sequential(parts)


def least_shortcut(node: Node, style: Style) -> nn.Module:
    """What shapes demand and no more: a pool where the block strides, a bare 1x1 where the width changes."""
    if node.keeps:
        return nn.Identity()
    parts = pooled(node)
    if node.c_in != node.c_out:
        parts["project"] = style.conv.build(node.c_in, node.c_out, 1)
    return nn.Sequential(parts)


def pooled(node: Node) -> OrderedDict[str, nn.Module]:
    """An average pool that makes ceil(side / stride) of a side, under `pool`; nothing where the block does not stride."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if node.stride > 1 or node.over > 1:
        # ceil_mode keeps ceil(side / stride); a partial window must not average in padding that is not there.
        pool = AvgPool2d(min(2, node.stride), node.stride, ceil_mode=True, count_include_pad=False)
        pool.over = node.over
        parts["pool"] = pool
    return parts
