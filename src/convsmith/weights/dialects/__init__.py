"""Which rules name a network's weights in which package, by the kind of its first block.

A package calls one network by one naming, and blocks are what differs between namings.
"""

from __future__ import annotations

from collections.abc import Callable

from ...arch import ArchSpec, Block
from ...parts import BasicBlock, Bottleneck, DepthwiseSeparable, GhostBottleneck, MBConv
from ..rules import Rules
from . import efficientnet, ghostnet, resnet

__all__ = ["TABLE"]

TABLE: dict[str, dict[type[Block], Callable[[ArchSpec], Rules]]] = {
    "timm": {
        BasicBlock: resnet.rules,
        Bottleneck: resnet.rules,
        DepthwiseSeparable: efficientnet.timm,
        GhostBottleneck: ghostnet.timm,
        MBConv: efficientnet.timm,
    },
    "torchvision": {
        BasicBlock: resnet.rules,
        Bottleneck: resnet.rules,
        MBConv: efficientnet.torchvision,
    },
    "efficientnet-lite": {MBConv: efficientnet.lite},
}
