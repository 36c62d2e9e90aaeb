"""The numbers of Mask R-CNN's mathematics, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from ...errors import UserError
from ...ranges import above, at_least, check_numbers, within
from .anchors import Anchors

__all__ = ["Geometry", "Settings"]


class Geometry(StrEnum):
    """Where things lie.

    exact: pixel i and cell i cover [i, i + 1], and everything follows from that. torchvision: as torchvision 0.29's weights
    were trained: anchors without half a cell, rounded to whole pixels; pooling half a cell off; masks pasted into whole pixels
    of a box that is a pixel too large. A mask that is exact for its box loses a third of its IoU through the second pair where
    the object has 4 to 8 px, and a tenth at 8 to 16 px.
    """

    EXACT = "exact"
    TORCHVISION = "torchvision"


@dataclass(frozen=True)
class Settings:
    """Numbers of the detector; the defaults are what papers and frameworks agree on.

    `strides` are the maps', fine to coarse. An anchor has the side `scale` · stride · 2^(i / `octaves`), i < `octaves`, at
    each of `ratios` (width / height). Of every map the `candidates` best anchors go through NMS at `region_overlap`, map by
    map, and the best `regions` of all of them are what the box head reads: the pairs are (training, evaluation).

    Regions are pooled from the finest `pooled` maps (all at None): from the map of stride 2^l with
    l = floor(`level` + log2(√(w h) / `side`)), `samples` x `samples` points in each bin.

    Anchors of IoU ≥ `anchor_high` with a truth are positive, below `anchor_low` negative, between them neither; a truth's best
    anchors are positive anyhow. Of them `anchor_samples` an image are trained on, at most `anchor_positive` of these positive.
    Regions are positive from IoU `region_high` on, `region_samples` an image are trained on, `region_positive` of them at most
    positive, and these have masks.

    Found is what scores above `score`, after NMS at `overlap` class by class, at most `found` an image.
    """

    strides: tuple[int, ...] = (4, 8, 16, 32, 64)
    scale: float = 8.0
    ratios: tuple[float, ...] = (1.0, 2.0, 0.5)
    octaves: int = 1
    candidates: tuple[int, int] = (2000, 1000)
    regions: tuple[int, int] = (1000, 1000)
    region_overlap: float = 0.7
    smallest: float = 1e-3
    pooled: int | None = None
    level: int = 4
    side: float = 224.0
    samples: int = 2
    anchor_high: float = 0.7
    anchor_low: float = 0.3
    anchor_samples: int = 256
    anchor_positive: float = 0.5
    region_high: float = 0.5
    region_samples: int = 512
    region_positive: float = 0.25
    score: float = 0.05
    overlap: float = 0.5
    found: int = 100
    least: float = 1e-2
    geometry: Geometry = field(default=Geometry.EXACT)

    def __post_init__(self) -> None:
        check_numbers(self, "settings")
        if not self.strides or any(stride < 1 or stride & (stride - 1) for stride in self.strides):
            raise UserError(f"settings.strides must be powers of two, fine to coarse; got {self.strides}")
        if list(self.strides) != sorted(set(self.strides)):
            raise UserError(f"settings.strides must rise; got {self.strides}")
        for name in ("candidates", "regions"):
            pair = getattr(self, name)
            if len(pair) != 2:
                raise UserError(f"settings.{name} is two numbers, of training and of evaluation; got {pair}")
            for number in pair:
                at_least(f"settings.{name}", number, 1)
        if self.pooled is not None:
            at_least("settings.pooled", self.pooled, 1, len(self.strides))
        for name in ("anchor_samples", "region_samples", "samples", "found", "octaves"):
            at_least(f"settings.{name}", getattr(self, name), 1)
        for name in ("anchor_positive", "region_positive", "region_overlap", "overlap", "anchor_high", "region_high"):
            above(f"settings.{name}", getattr(self, name), 0, 1)
        within("settings.anchor_low", self.anchor_low, 0, self.anchor_high)
        within("settings.score", self.score, 0, 1)
        above("settings.side", self.side, 0)
        _ = self.anchors

    @property
    def anchors(self) -> Anchors:
        """The anchors of these maps."""
        scales = tuple(self.scale * 2 ** (i / self.octaves) for i in range(self.octaves))
        return Anchors(self.strides, scales, self.ratios, half_cell=self.exact, rounded=not self.exact)

    @property
    def exact(self) -> bool:
        """Whether the geometry is ours."""
        return self.geometry is Geometry.EXACT

    @property
    def readable(self) -> int:
        """How many maps, from the finest, regions are pooled from."""
        return len(self.strides) if self.pooled is None else self.pooled

    def as_torchvision(self) -> Settings:
        """With the numbers and the geometry of torchvision's Mask R-CNN (`maskrcnn_resnet50_fpn`), which its weights need."""
        return replace(
            self,
            scale=8.0,
            ratios=(2.0, 1.0, 0.5),
            octaves=1,
            regions=(2000, 1000),
            pooled=4,
            geometry=Geometry.TORCHVISION,
        )
