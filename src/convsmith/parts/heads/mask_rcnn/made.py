"""A detector made of any network."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from ....arch import ArchSpec, Head, Neck
from ....errors import UserError, nearest
from ....ranges import at_least
from ...necks.fpn import FPN
from ..classifier import PooledClassifier
from .head import MaskRCNN

__all__ = ["detector"]

_WIDTHS = ("rpn_width", "box_width", "mask_width")


def detector(spec: ArchSpec, classes: int, **choices: Any) -> ArchSpec:
    """`spec` as a network that finds things of `classes` kinds: a feature pyramid on its trunk, and Mask R-CNN's head.

    `choices` are fields of `FPN` and of `MaskRCNN`; one that both have is for both, and `width` is the pyramid's and that of the
    head's convolutions. A network with a neck keeps it, and one that is a detector keeps its head, but for what `choices` say.
    Anchors are of 32 pixels at stride 4 and of 24 at stride 8, where the finest map has it (tensorflow/tpu), unless `scale`
    says otherwise. Where a classifier put a norm-act behind a trunk that ends in a bare sum, each map that is read gets one.

    Raises:
        UserError: a choice that neither has.

    >>> import convsmith as cs
    >>> found = detector(cs.spec("resnet50").with_resolution(640), 90, low=3, high=7, regions=300)
    >>> found.head.describe(), found.neck.describe(), found.head.scale
    ('boxes and masks of 90 kinds of things', 'pyramid of strides 8 to 128, 256 wide', 3.0)
    """
    at_least("classes", classes, 1)
    neck = spec.neck
    if neck is None:
        head = spec.head
        neck = FPN(activated=head.activated if isinstance(head, PooledClassifier) else True)
    allowed = {**_names(neck), **_names(MaskRCNN(1)), "width": None}
    for name in choices:
        if name not in allowed:
            raise UserError(f"a detector has no '{name}'{nearest(name, allowed)}; it has {', '.join(sorted(allowed))}")
    neck = replace(neck, **{name: value for name, value in choices.items() if name in _names(neck)})
    if isinstance(spec.head, MaskRCNN):
        found = replace(spec.head, classes=classes)
    else:
        finest = getattr(neck, "low", 2)
        found = MaskRCNN(classes, scale=8.0 if finest <= 2 else 3.0)
    if "width" in choices:
        found = replace(found, **dict.fromkeys(_WIDTHS, choices["width"]))
    found = replace(found, **{name: value for name, value in choices.items() if name in _names(found)})
    return replace(spec, neck=neck, head=found)


def _names(part: Neck | Head) -> dict[str, None]:
    return {field.name: None for field in fields(part) if field.name not in ("activated", "classes")}
