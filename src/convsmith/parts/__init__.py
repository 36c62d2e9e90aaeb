"""Parts: a part is its frozen value and its `build`, together in one file.

This is the table of contents. A new part is one file and one line in `PARTS`; a test fails when a file is missing.
"""

from __future__ import annotations

from ..arch import Part
from .blocks.attention import Attention
from .blocks.basic import BasicBlock
from .blocks.bottleneck import Bottleneck
from .blocks.ghost import GhostBottleneck
from .blocks.growing import GrowingBlock, GrowingBottleneck
from .blocks.mbconv import MBConv
from .blocks.nf import NFBottleneck, NFRegNetBlock
from .blocks.preact import PreActBottleneck
from .blocks.separable import DepthwiseSeparable
from .blocks.shortcut import Shortcut
from .blocks.shrinking import ShrinkingBlock, ShrinkingBottleneck
from .convs.plain import PlainConv
from .convs.scaled_ws import Guard, ScaledWS
from .convs.spectral import SpectralConv
from .heads.classifier import PooledClassifier
from .heads.image import ToImage
from .heads.keypoints import Keypoints, keypoints_for, posed
from .heads.mask_rcnn import MaskRCNN, detector
from .heads.projection import Projection
from .mixers.lambda_ import Lambda
from .necks.fpn import FPN, Form, Top
from .necks.spinenet import SpineNet
from .norms.batch import BatchNorm
from .norms.evonorm import EvoNorm, EvoNormKind, EvoNormLinear
from .norms.graph import GraphNorm
from .norms.group import GroupNorm
from .norms.none import NoNorm
from .squeeze import SE
from .stems.conv import ConvStem
from .stems.deep import DeepStem, Halving
from .stems.latent import LatentStem, Told
from .stems.shrinking import ShrinkingStem

__all__ = [
    "FPN",
    "PARTS",
    "SE",
    "Attention",
    "BasicBlock",
    "BatchNorm",
    "Bottleneck",
    "ConvStem",
    "DeepStem",
    "DepthwiseSeparable",
    "EvoNorm",
    "EvoNormKind",
    "EvoNormLinear",
    "Form",
    "GhostBottleneck",
    "GraphNorm",
    "GroupNorm",
    "GrowingBlock",
    "GrowingBottleneck",
    "Guard",
    "Halving",
    "Keypoints",
    "Lambda",
    "LatentStem",
    "MBConv",
    "MaskRCNN",
    "NFBottleneck",
    "NFRegNetBlock",
    "NoNorm",
    "PlainConv",
    "PooledClassifier",
    "PreActBottleneck",
    "Projection",
    "ScaledWS",
    "Shortcut",
    "ShrinkingBlock",
    "ShrinkingBottleneck",
    "ShrinkingStem",
    "SpectralConv",
    "SpineNet",
    "ToImage",
    "Told",
    "Top",
    "detector",
    "keypoints_for",
    "posed",
]

PARTS: tuple[type[Part], ...] = (
    # blocks
    Attention,
    BasicBlock,
    Bottleneck,
    DepthwiseSeparable,
    GhostBottleneck,
    GrowingBlock,
    GrowingBottleneck,
    MBConv,
    NFBottleneck,
    NFRegNetBlock,
    PreActBottleneck,
    ShrinkingBlock,
    ShrinkingBottleneck,
    # inside blocks
    Lambda,
    SE,
    # convolutions and norms: a network's style
    PlainConv,
    ScaledWS,
    SpectralConv,
    BatchNorm,
    GroupNorm,
    NoNorm,
    EvoNorm,
    GraphNorm,
    # ends
    ConvStem,
    DeepStem,
    LatentStem,
    ShrinkingStem,
    FPN,
    SpineNet,
    PooledClassifier,
    Keypoints,
    MaskRCNN,
    ToImage,
    Projection,
)
