"""Mask R-CNN's head as a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import nn

from ....arch import Head, Map, Node, Norm, Shape
from ....errors import UserError
from ....layers.detection import Geometry, Settings
from ....ranges import above, at_least
from ...necks.fpn import Form
from .detector import Deployed, Detector
from .units import BoxUnit, MaskUnit, Proposals, ProposalUnit

__all__ = ["MaskRCNN"]

LEAST_REGIONS, LEAST_KEPT = 50, 20  # of a scaled image
BOX, MASK = 7, 14  # sides of regions; masks come out twice as large


@final
@dataclass(frozen=True)
class MaskRCNN(Head):
    """Finds things of `classes` n kinds on maps of one width: their boxes, and with `masks` their outlines.

    - proposals: `rpn_convs` 3x3 convolutions to `rpn_width` over every map; anchors of side `scale` · stride · 2^(i / `octaves`),
      i < `octaves`, of every width / height in `ratios`;
    - boxes of the best `regions` proposals: `box_convs` 3x3 convolutions to `box_width`, `box_fcs` linear layers to `fc_width`;
    - masks of the best `kept` boxes: `mask_convs` 3x3 convolutions to `mask_width`, 28 x 28.

    Regions are taken from the map of stride 2^l, l = `level` + log2(√area / `side`), rounded down. `regions` and `kept` are of
    one image in evaluation, what a cost counts; fewer where less is found. `norm` is None for the network's own, `NoNorm` for
    none, any other for one of the head's own; `form` says where norms stand and `geometry` where things lie (`Form`,
    `Geometry`). `separable` makes a depthwise and a 1x1 convolution of each 3x3. Scaling scales all widths and no number of
    layers; `regions` and `kept` fall with the area of the image, to 50 and 20, and do not rise above their own.
    """

    kind: ClassVar[str] = "mask_rcnn"
    outputs: ClassVar[tuple[str, ...]] = ("boxes", "scores", "labels", "masks")
    named: ClassVar[tuple[str, ...]] = ("head.box.scores.", "head.box.deltas.", "head.mask.logits.")
    whole: ClassVar[bool] = True
    decides: ClassVar[bool] = True
    purpose: ClassVar[str] = "detect"
    alone: ClassVar[bool] = True
    behind: ClassVar[tuple[str, ...]] = ("neck.", "head.")
    classes: int
    scale: float = 8.0
    octaves: int = 1
    ratios: tuple[float, ...] = (1.0, 2.0, 0.5)
    level: int = 4
    side: float = 224.0
    rpn_convs: int = 1
    rpn_width: int = 256
    box_convs: int = 4
    box_width: int = 256
    box_fcs: int = 1
    fc_width: int = 1024
    masks: bool = True
    mask_convs: int = 4
    mask_width: int = 256
    regions: int = 1000
    kept: int = 100
    separable: bool = False
    norm: Norm | None = None
    form: Form = Form.TENSORFLOW
    geometry: Geometry = Geometry.EXACT

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("classes", "octaves", "rpn_width", "box_width", "fc_width", "mask_width", "regions", "kept"):
            at_least(f"mask_rcnn.{name}", getattr(self, name), 1)
        for name in ("rpn_convs", "box_convs", "box_fcs", "mask_convs", "level"):
            at_least(f"mask_rcnn.{name}", getattr(self, name), 0, 12)
        above("mask_rcnn.scale", self.scale, 0)
        above("mask_rcnn.side", self.side, 0)
        if not self.ratios:
            raise ValueError("mask_rcnn.ratios needs one width / height at least, such as 1.0")
        for ratio in self.ratios:
            above("mask_rcnn.ratios", ratio, 0)

    @property
    def puts_out(self) -> tuple[str, ...]:
        return self.outputs if self.masks else self.outputs[:-1]

    @property
    def n_names(self) -> int:
        return self.classes

    @property
    def anchors(self) -> int:
        """How many in every cell."""
        return self.octaves * len(self.ratios)

    def renamed(self, n: int) -> Self:
        return replace(self, classes=n)

    def settings(self, strides: tuple[int, ...]) -> Settings:
        """The numbers that its mathematics goes by, over maps of these strides."""
        theirs = self.geometry is Geometry.TORCHVISION
        return Settings(
            strides=strides,
            scale=self.scale,
            octaves=self.octaves,
            ratios=self.ratios,
            candidates=(2 * self.regions, self.regions),  # 2000 and 1000 in papers
            regions=(2 * self.regions if theirs else self.regions, self.regions),
            # torchvision takes no regions from the subsampled map
            pooled=len(strides) - 1 if theirs and len(strides) > 1 else None,
            level=self.level,
            side=self.side,
            found=self.kept,
            geometry=self.geometry,
        )

    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        widths = {one.shape.channels for one in maps}
        if len(widths) > 1:
            raise UserError(
                f"mask_rcnn reads maps of one width, and these have {', '.join(map(str, sorted(widths)))}: put a neck such as FPN "
                "in front of it, as `cs.detector` does"
            )
        width, strides = widths.pop(), tuple(one.stride for one in maps)
        ins, paths = tuple(one.shape for one in maps), tuple(one.path for one in maps)
        each, n = self.anchors, self.classes + 1
        outs = tuple(Shape(k * each, shape.sides) for k in (1, 4) for shape in ins)
        made = (self.norm, self.form, self.separable)
        rpn = ProposalUnit(self.rpn_convs, self.rpn_width, *made, each, strides)
        box = BoxUnit(self.box_convs, self.box_width, *made, self.box_fcs, self.fc_width, self.classes)
        region = (Shape(width, (BOX, BOX)),)
        nodes = [
            Node("head.rpn", rpn, ins, outs, paths),
            Node("head.box", box, region, (Shape(n), Shape(4 * n)), paths, self.regions),
        ]
        if self.masks:
            mask = MaskUnit(self.mask_convs, self.mask_width, *made, self.classes)
            region, out = (Shape(width, (MASK, MASK)),), (Shape(n, (2 * MASK, 2 * MASK)),)
            nodes.append(Node("head.mask", mask, region, out, paths, self.kept))
        return nodes, ()

    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        rpn = units["head.rpn"]
        strides = rpn.strides if isinstance(rpn, Proposals) else (1,)
        return Detector(rpn, units["head.box"], units.get("head.mask"), self.settings(strides))

    def deployed(self, head: nn.Module) -> nn.Module:
        assert isinstance(head, Detector)
        return Deployed(head)

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(
            self,
            rpn_width=grow(self.rpn_width),
            box_width=grow(self.box_width),
            fc_width=grow(self.fc_width),
            mask_width=grow(self.mask_width),
        )

    def showing(self, area: float) -> Self:
        if area >= 1:
            return self  # published detectors have the same numbers from 640 to 1536 pixels
        regions = max(min(self.regions, LEAST_REGIONS), round(self.regions * area))
        return replace(self, regions=regions, kept=max(min(self.kept, LEAST_KEPT), round(self.kept * area)))

    def describe(self) -> str:
        many = "kind" if self.classes == 1 else "kinds"
        return f"boxes{' and masks' if self.masks else ''} of {self.classes} {many} of things"
