"""Where things are, what they are, and their outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from ..arch import ArchSpec
from ..data import Instances
from ..errors import UserError
from ..evals import Detected
from ..layers.detection import learn
from ..parts.heads.mask_rcnn import Detector, MaskRCNN, detector
from ..ranges import at_least, check_numbers
from ..recipe import Recipe
from ..training import Loss, Network
from .task import Task

__all__ = ["Detect", "measured"]

# From these sides of the canvas on, a detector that is made of a classifier is so wide, reads so many regions, draws so many masks.
_MEASURES = ((512, 256, 1000, 100), (256, 128, 300, 100), (0, 64, 150, 50))
# Below this side of the canvas a detector is made small: two linear layers for boxes, two convolutions for masks, and as what is
# shown is small as well, anchors of half the size.
_SMALL = 512
_LIGHT = {"box_convs": 0, "box_fcs": 2, "mask_convs": 2, "scale": 4.0, "side": 112.0}


_NO_SEARCH = (
    "a detector does not learn from another one here, since it is not settled on which regions the two would be compared, and so "
    "there is no search of detectors. Search its trunk as a classifier, and put the detector on the child that you pick: "
    "cs.detector(child, classes)"
)


@final
@dataclass(frozen=True)
class Detect(Task):
    """Mask R-CNN (He et al., 2017). Answers are `data.Instances`, outputs `layers.detection.Detections`.

        loss = objectness + anchors + classes + boxes [+ masks]

    as `layers.detection.losses` has them, in torchvision's form. Of each image `anchor_samples` anchors and `region_samples`
    regions are trained on; papers take 256 and 512 of pictures of 1024 pixels, here regions are 64, since heads are what a
    detector of a small trunk spends its time on: `--set task.region_samples=512`. The running score is the share of the regions
    that hold something whose likeliest class is theirs. `masks`: whether outlines are learnt and found, which data without
    them does not allow.
    """

    kind: ClassVar[str] = "detect"
    headline: ClassVar[str] = "mask_ap"
    running: ClassVar[str] = "regions"
    watched: ClassVar[tuple[str, ...]] = ("mask_ap", "box_ap")
    terms: ClassVar[tuple[str, ...]] = ("objectness", "anchors", "classes", "boxes", "masks")
    recipes: ClassVar[tuple[str, str]] = ("detect-scratch", "detect")
    study: ClassVar[str] = "detect-scratch"
    base: ClassVar[str] = "efficientnet_lite0"
    side: ClassVar[int] = 640
    blank: ClassVar[bool] = False

    masks: bool = True
    anchor_samples: int = 256
    region_samples: int = 64

    def __post_init__(self) -> None:
        check_numbers(self, "task")
        at_least("task.anchor_samples", self.anchor_samples, 1)
        at_least("task.region_samples", self.region_samples, 1)

    def fitted(self, spec: ArchSpec, names: Sequence[str]) -> ArchSpec:
        if isinstance(spec.head, MaskRCNN):
            return replace(spec, head=replace(spec.head, classes=len(names), masks=spec.head.masks and self.masks))
        return detector(spec, len(names), masks=self.masks, **measured(spec))

    def headline_of(self, targets: Any) -> str:
        return self.headline if self.masks else "box_ap"

    def loss(self, network: Network, images: Tensor, answers: Instances, recipe: Recipe) -> Loss[None]:
        head = getattr(network, "head", None)
        if not isinstance(head, Detector):
            raise UserError("a detector is learnt by a network that ends in one: give the spec to cs.detector first")
        settings = replace(head.settings, anchor_samples=self.anchor_samples, region_samples=self.region_samples)
        canvas = (images.shape[2], images.shape[3])
        maps = network.maps(images)  # type: ignore[attr-defined]
        found = learn(head, maps, canvas, answers.boxes, answers.labels, answers.masks, settings)
        zero = found.right.new_zeros(())
        terms = tuple(found.losses.get(name, zero) for name in self.terms)
        return Loss(None, torch.stack(terms).sum(), found.right.double() * len(images), terms)

    def distilled(self, student: Any, teacher: Any) -> Tensor:
        raise UserError(_NO_SEARCH)

    def chance(self, names: Sequence[str]) -> float:
        raise UserError(_NO_SEARCH)

    def meter(self, names: Sequence[str], *, pictures: int = 24) -> Detected:
        return Detected(names, pictures=pictures)


def measured(spec: ArchSpec) -> dict[str, Any]:
    """The fields of a detector made to the measure of its canvas: 256 wide, with 1000 regions and the papers' heads from 512 px on;
    half as wide below, and a quarter below 256 px, with 300 and 150 regions, small heads, and there at most 50 outlines."""
    side = min(spec.input.sides)
    width, regions, kept = next(own for least, *own in _MEASURES if side >= least)
    return {
        "width": width,
        "fc_width": 4 * width,
        "regions": regions,
        "kept": kept,
        **(_LIGHT if side < _SMALL else {}),
    }
