"""torchvision's names for Mask R-CNN and Faster R-CNN on a ResNet with a pyramid."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ...arch import ArchSpec
from ...parts.heads.mask_rcnn import MaskRCNN
from ...parts.necks.fpn import FPN
from ..rules import Rules
from . import resnet

__all__ = ["renewed", "torchvision"]

# Names of torchvision's files of 2018 to 2021, and what its modules are called since.
_RENEWED = tuple(
    (re.compile(pattern), template)
    for pattern, template in (
        (r"(.*)fpn\.(inner|layer)_blocks\.(\d+)\.(weight|bias)", r"\1fpn.\2_blocks.\3.0.\4"),
        (r"(.*)rpn\.head\.conv\.(weight|bias)", r"\1rpn.head.conv.0.0.\2"),
    )
)
_NUMBERED = re.compile(r"(.*)roi_heads\.mask_head\.mask_fcn(\d+)\.(weight|bias)")  # counted from 1


def torchvision(spec: ArchSpec) -> Rules:
    """backbone.body.*, backbone.fpn.*, rpn.head.* and roi_heads.*; of a pyramid by fields P_low is number 0.

    Raises:
        LookupError: a network that is no detector on a pyramid.
    """
    head, neck = spec.head, spec.neck
    if not isinstance(head, MaskRCNN) or not isinstance(neck, FPN):
        raise LookupError(f"{spec.name} is no detector on a pyramid")
    found = [(ours, f"backbone.body.{theirs}") for ours, theirs in resnet.rules(spec)]
    for level in range(neck.low, neck.high + 1):
        number = level - neck.low
        for group, theirs in (("lateral", "inner_blocks"), ("out", "layer_blocks")):
            found += _conv_norm(rf"neck[.]{group}[.]{level}", f"backbone.fpn.{theirs}.{number}")
    found += [
        (r"head[.]rpn[.]convs[.](\d+)[.](.*)", r"rpn.head.conv.\1.0.\2"),
        (r"head[.]rpn[.]scores[.](.*)", r"rpn.head.cls_logits.\1"),
        (r"head[.]rpn[.]deltas[.](.*)", r"rpn.head.bbox_pred.\1"),
        (r"head[.]box[.]scores[.](.*)", r"roi_heads.box_predictor.cls_score.\1"),
        (r"head[.]box[.]deltas[.](.*)", r"roi_heads.box_predictor.bbox_pred.\1"),
        (r"head[.]mask[.]up[.]conv[.](.*)", r"roi_heads.mask_predictor.conv5_mask.\1"),
        (r"head[.]mask[.]logits[.](.*)", r"roi_heads.mask_predictor.mask_fcn_logits.\1"),
        *_conv_norm(r"head[.]box[.]convs[.](\d+)", r"roi_heads.box_head.\1", groups=1),
        *_conv_norm(r"head[.]mask[.]convs[.](\d+)", r"roi_heads.mask_head.\1", groups=1),
    ]
    for number in range(head.box_fcs):
        # Behind convolutions stands one sequence, in which they, a flattening, and each linear layer's activation count.
        place = f"{head.box_convs + 1 + 2 * number}" if head.box_convs else f"fc{6 + number}"
        found.append((rf"head[.]box[.]fcs[.]{number}[.]fc[.](.*)", rf"roi_heads.box_head.{place}.\1"))
    return tuple(found)


def renewed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors, those of an old detector of torchvision's under its new names."""
    return {_renewed(key): tensor for key, tensor in state.items()}


def _conv_norm(ours: str, theirs: str, *, groups: int = 0) -> Rules:
    last = rf"\{groups + 1}"
    return (
        (rf"{ours}[.]conv[.](.*)", f"{theirs}.0.{last}"),
        (rf"{ours}[.]norm[.]bn[.](.*)", f"{theirs}.1.{last}"),
    )


def _renewed(key: str) -> str:
    if match := _NUMBERED.fullmatch(key):
        return f"{match[1]}roi_heads.mask_head.{int(match[2]) - 1}.0.{match[3]}"
    for pattern, template in _RENEWED:
        if match := pattern.fullmatch(key):
            return match.expand(template)
    return key
