"""Mask R-CNN (He et al., 2017) as published on several trunks: for COCO's 90 classes, at 1000 regions and 100 masks an image.

- SpineNets with their own pyramid, and ResNet-50 with one of the same strides (Du et al., 2020);
- `_copypaste`, the baselines of Ghiasi et al. (2021): two convolutions before the proposals, two linear layers before the boxes;
- strides 4 to 64 and one of each: the form of LambdaNetworks' and EvoNorm's tables (Bello, 2021; Liu et al., 2020). Neither
  prints which trunks stand below; ours are the hybrids of that paper with ResNet-RS beside them, and ResNet-50;
- torchvision's, under its names and with its geometry; `fasterrcnn` are without masks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..arch import Act, ArchSpec, Norm
from ..layers.detection import Geometry
from ..parts import BatchNorm, EvoNorm, EvoNormKind, Form, NoNorm, Top, detector
from . import efficientnet, lambda_resnet, nf_resnet
from .resnet import resnet
from .resnet_rs import resnet_rs
from .spinenet import spinenet

__all__ = ["CLASSES", "members"]

CLASSES = 90  # COCO's ids end there: with the background 91 scores, of which the sources' counts are
_COPY_PASTE: dict[str, Any] = {"rpn_convs": 2, "box_fcs": 2}
_P3P7: dict[str, Any] = {"low": 3, "high": 7}
_NORM = BatchNorm(act=Act.RELU, eps=1e-4, momentum=0.003)  # tensorflow/tpu's for ResNets
_EVO = (EvoNormKind.B0, EvoNormKind.S0)
_THEIRS: dict[str, Any] = {
    "form": Form.TORCHVISION,
    "top": Top.SUBSAMPLE,
    "geometry": Geometry.TORCHVISION,
    "ratios": (2.0, 1.0, 0.5),  # in the order of its predictors
}
_V1: dict[str, Any] = _THEIRS | {"norm": NoNorm(act=Act.RELU), "box_convs": 0, "box_fcs": 2}
_V2: dict[str, Any] = _THEIRS | {"rpn_convs": 2}


def _made(name: str, trunk: ArchSpec, side: int, of: Norm | None = None, **choices: Any) -> ArchSpec:
    made = detector(trunk.with_resolution(side), CLASSES, **choices)
    return replace(made.with_style(norm=of), name=name)


def members() -> tuple[ArchSpec, ...]:
    r50, r101 = resnet(50), resnet(101)
    s96 = spinenet("96")
    return (
        _made("mask_rcnn_spinenet_49s", spinenet("49s"), 640, width=128, fc_width=512),
        _made("mask_rcnn_spinenet_49", spinenet("49"), 640),
        _made("mask_rcnn_spinenet_96", s96, 1024),
        _made("mask_rcnn_spinenet_143", spinenet("143"), 1280),
        *(_made(f"mask_rcnn_spinenet_96_evo{kind}", s96, 1024, EvoNorm(variant=kind)) for kind in _EVO),
        _made("mask_rcnn_r50_fpn_p3p7", r50, 640, _NORM, **_P3P7),
        _made("mask_rcnn_r50_fpn_copypaste", r50, 1024, _NORM, **_COPY_PASTE),
        _made("mask_rcnn_r101_fpn_copypaste", r101, 1024, _NORM, **_COPY_PASTE),
        _made("mask_rcnn_b7_fpn_copypaste", efficientnet.member("b7"), 1024, **_COPY_PASTE),
        _made("mask_rcnn_r50_fpn", r50, 1024, _NORM),
        _made("mask_rcnn_r101_fpn", r101, 1024, _NORM),
        *(_made(f"mask_rcnn_r50_fpn_evo{kind}", r50, 1024, EvoNorm(variant=kind)) for kind in _EVO),
        *(_made(f"mask_rcnn_resnetrs{depth}_fpn", resnet_rs(depth), 1024) for depth in (101, 152)),
        *(_made(f"mask_rcnn_lambdaresnet{depth}_fpn", lambda_resnet.hybrid(depth), 1024) for depth in (101, 152)),
        _made("mask_rcnn_nf_resnet50_fpn", nf_resnet.timm(50), 1024),
        _made("maskrcnn_resnet50_fpn", r50, 800, **_V1),
        _made("maskrcnn_resnet50_fpn_v2", r50, 800, **_V2),
        _made("fasterrcnn_resnet50_fpn", r50, 800, masks=False, **_V1),
        _made("fasterrcnn_resnet50_fpn_v2", r50, 800, masks=False, **_V2),
    )
