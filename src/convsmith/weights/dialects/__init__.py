"""Which rules name a network's weights in which package, by the kind of its first block.

A package calls one network by one naming, and blocks are what differs between namings.
"""

from __future__ import annotations

from collections.abc import Callable

from ...arch import ArchSpec, Block
from ...parts import (
    BasicBlock,
    Bottleneck,
    DepthwiseSeparable,
    GhostBottleneck,
    MBConv,
    NFBottleneck,
    NFRegNetBlock,
    PreActBottleneck,
)
from ..rules import Rules
from . import efficientnet, ghostnet, mask_rcnn, nfnet, resnet, resnetv2
from .mask_rcnn import renewed

__all__ = ["TABLE", "renewed"]

TABLE: dict[str, dict[type[Block], Callable[[ArchSpec], Rules]]] = {
    "timm": {
        BasicBlock: resnet.rules,
        Bottleneck: resnet.rules,
        DepthwiseSeparable: efficientnet.timm,
        GhostBottleneck: ghostnet.timm,
        MBConv: efficientnet.timm,
        NFBottleneck: nfnet.timm,
        NFRegNetBlock: nfnet.timm,
        PreActBottleneck: resnetv2.timm,
    },
    "torchvision": {
        BasicBlock: resnet.rules,
        Bottleneck: resnet.rules,
        MBConv: efficientnet.torchvision,
    },
    "torchvision-detection": {
        BasicBlock: mask_rcnn.torchvision,
        Bottleneck: mask_rcnn.torchvision,
    },
    "efficientnet-lite": {MBConv: efficientnet.lite},
}
