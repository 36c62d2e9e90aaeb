"""Families: tables only. A family is one file and one line in `FAMILIES`; every member is a name timm users know."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ..arch import ArchSpec
from ..errors import UserError, nearest
from . import (
    biggan,
    bignas,
    efficientnet,
    efficientnet_lite,
    evonorm,
    ghostnet,
    lambda_resnet,
    mask_rcnn,
    mnasnet,
    mobilenetv1,
    mobilenetv2,
    nf_regnet,
    nf_resnet,
    r3d,
    resnet,
    resnet_rs,
    resnetv2,
    spinenet,
    tinynet,
)

__all__ = ["FAMILIES", "TASKS", "names", "spec"]

FAMILIES: dict[str, Callable[[], tuple[ArchSpec, ...]]] = {
    "efficientnet": efficientnet.members,
    "tinynet": tinynet.members,
    "efficientnet_lite": efficientnet_lite.members,
    "ghostnet": ghostnet.members,
    "mnasnet": mnasnet.members,
    "bignas": bignas.members,
    "mobilenetv1": mobilenetv1.members,
    "mobilenetv2": mobilenetv2.members,
    "resnet": resnet.members,
    "resnet_rs": resnet_rs.members,
    "lambda_resnet": lambda_resnet.members,
    "nf_resnet": nf_resnet.members,
    "nf_regnet": nf_regnet.members,
    "resnetv2": resnetv2.members,
    "evonorm": evonorm.members,
    "spinenet": spinenet.members,
    "mask_rcnn": mask_rcnn.members,
    "r3d": r3d.members,
    "biggan": biggan.members,
}
# What a family's networks are for, where that is not to classify.
TASKS = {"mask_rcnn": "detect", "r3d": "video", "biggan": "synthesise"}


@cache
def _members() -> dict[str, ArchSpec]:
    return {member.name: member for family in FAMILIES.values() for member in family()}


def names(task: str | None = None) -> tuple[str, ...]:
    """Every name that `spec` knows, family by family; of networks for a task (`classify`, `detect`, `video`: to classify
    clips, ...) where it is given.

    >>> names("detect")[0]
    'mask_rcnn_spinenet_49s'
    """
    if task is None:
        return tuple(_members())
    return tuple(
        one.name for name, family in FAMILIES.items() if TASKS.get(name, "classify") == task for one in family()
    )


def spec(name: str, *, classes: int | None = None, resolution: int | None = None) -> ArchSpec:
    """The published network of that name, with timm's names where the architecture is timm's.

    >>> spec("efficientnet_b0").input.resolution
    224
    """
    members = _members()
    if name not in members:
        raise UserError(f"unknown model '{name}'{nearest(name, members)} (`convsmith list` shows all {len(members)})")
    found = members[name]
    found = found if classes is None else found.with_classes(classes)
    return found if resolution is None else found.with_resolution(resolution)
