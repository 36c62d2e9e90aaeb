"""Where the joints of a body are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..arch import ArchSpec
from ..data import Body, Joints, Points, Targets
from ..errors import UserError
from ..evals import PointErrors
from ..layers.score_maps import STRIDE, decoded, encoded, map_side
from ..parts.heads.keypoints import posed
from ..ranges import above, at_least, check_numbers
from ..recipe import Recipe
from ..training import Loss, Network
from .task import Task

__all__ = ["Pose"]


@final
@dataclass(frozen=True)
class Pose(Task):
    """Score maps and offsets, DeepLabCut 2's (Insafutdinov et al., 2016). Answers are `data.Points`, outputs maps ⟨N,3K,h,w⟩ as
    `layers.score_maps` has them, or ⟨N,4K,h,w⟩ with a second set of scores from an earlier map, which only the loss reads.

        loss = CE(scores, disc) + `offset_weight` Huber(offsets) [+ CE(earlier scores, disc)]

    CE is the sigmoid cross-entropy, its mean over all cells and joints; the disc is 1 in cells no farther than `radius` pixels
    of the picture from the joint. A joint that is not labelled, or lies on or outside the border of what is shown, is nowhere:
    its map should be 0 and counts in full, unless `mask_absent` leaves it out of the mean. The Huber loss, in units of
    7.2801 px with delta 1, is the mean over offsets within discs, 0 where there are none. Sums and numbers are pose_cfg.yaml's.

    `gaussian`: scores should be exp(-d² / 2σ²), σ = 2 radius / 3, as DeepLabCut 3 has it, and the squared error of their
    sigmoid takes CE's place. DeepLabCut 3 takes that of the bare score and cuts it to 0..1 when it is used; with the sigmoid,
    which is ours, a likelihood is read off in the same way whatever was trained.

    The running score is the share of labelled joints no farther off than `threshold` times the scale of their individual, or
    than `radius` where it has no scale. `body` is what the joints are of.
    """

    kind: ClassVar[str] = "pose"
    headline: ClassVar[str] = "pck"
    running: ClassVar[str] = "pck"
    watched: ClassVar[tuple[str, ...]] = ("pixels",)
    recipes: ClassVar[tuple[str, str]] = ("pose-scratch", "pose")
    study: ClassVar[str] = "pose-scratch"
    base: ClassVar[str] = "efficientnet_lite0"  # quick on CPUs, and its weights come in packages
    space: ClassVar[str] = "p16"
    blank: ClassVar[bool] = (
        False  # the same first head, whether a network has weights or not: what is compared is them alone
    )

    radius: float = 17.0
    gaussian: bool = False
    offset_weight: float = 0.05
    mask_absent: bool = False
    threshold: float = 0.3
    body: Body = Body(())

    def __post_init__(self) -> None:
        check_numbers(self, "task")
        above("task.radius", self.radius, 0)
        at_least("task.offset_weight", self.offset_weight, 0)
        above("task.threshold", self.threshold, 0)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        return self.body.bones

    def fitted(self, spec: ArchSpec, names: Sequence[str]) -> ArchSpec:
        return posed(spec, len(names))

    def headline_of(self, targets: Targets) -> str:
        if not isinstance(targets, Joints):
            return self.headline
        labelled = ~np.isnan(targets.xy[..., 0]).all(axis=1)
        return self.headline if np.isfinite(targets.scales[labelled]).any() else "pixels"

    def refuse(self, recipe: Recipe) -> None:
        if recipe.augment.mirror and not self.body.pairs:
            raise UserError(
                "a mirror image makes a left joint of a right one, and the data does not say which two are a pair: give "
                "--set augment.mirror=0, or pairs"
            )

    def loss(self, network: Network, images: Tensor, answers: Points, recipe: Recipe) -> Loss[Tensor]:
        maps: Tensor = network(images).float()
        loss = self.of(maps, answers, (images.shape[2], images.shape[3]))
        return Loss(maps, loss, self._found(maps.detach(), answers, (images.shape[2], images.shape[3])))

    def of(self, maps: Tensor, answers: Points, size: tuple[int, int] | None = None) -> Tensor:
        """The mean loss of `maps` where images of `size` (height, width) were shown, without it as large as the maps reach.

        Raises:
            UserError: maps of other sides or for other joints.
        """
        size = size or (STRIDE * maps.shape[2], STRIDE * maps.shape[3])
        shown = _within(answers.shown, size)
        joints, cells = shown.shape[1], (map_side(size[0]), map_side(size[1]))
        if tuple(maps.shape[2:]) != cells or maps.shape[1] not in (3 * joints, 4 * joints):
            raise UserError(
                f"the network puts out maps of shape {tuple(maps.shape[1:])}; {joints} joints on images of {size[0]}x{size[1]} "
                f"px take ({3 * joints}, {cells[0]}, {cells[1]})"
            )
        wanted = encoded(shown, self.radius * answers.zoom, cells, gaussian=self.gaussian)
        counted = ~shown[..., 0].isnan() if self.mask_absent else None
        scores, offsets = maps[:, :joints], maps[:, joints : 3 * joints]
        loss = self._scores(scores, wanted.scores, counted)
        near = wanted.near.repeat_interleave(2, dim=1)
        wrong = F.huber_loss(offsets, wanted.offsets, reduction="none")
        loss = loss + self.offset_weight * (wrong * near).sum() / near.sum().clamp_min(1)
        if maps.shape[1] == 4 * joints:
            loss = loss + self._scores(maps[:, 3 * joints :], wanted.scores, counted)
        return loss

    def _scores(self, scores: Tensor, wanted: Tensor, counted: Tensor | None) -> Tensor:
        if self.gaussian:
            each = (scores.sigmoid() - wanted).square()
        else:
            each = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
        if counted is None:
            return each.mean()
        return (each.mean((2, 3)) * counted).sum() / counted.sum().clamp_min(1)

    def _found(self, maps: Tensor, answers: Points, size: tuple[int, int]) -> Tensor:
        """The share of the labelled joints that are found, times the number of images."""
        shown = _within(answers.shown, size)
        points, _ = decoded(maps, shown.shape[1])
        off = (points - shown).square().sum(2).sqrt() / answers.zoom[:, None]
        reach = (self.threshold * answers.scales).nan_to_num(self.radius)
        labelled = (~off.isnan()).sum().clamp_min(1)
        return (off <= reach[:, None]).sum() / labelled * len(maps)

    def distilled(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The cross-entropy of the student's scores towards the teacher's probabilities, and `offset_weight` times the Huber
        loss between their offsets, each cell's weighed by the teacher's probability there. It is ours, as no paper has it.
        """
        student = student if student.dtype == torch.float64 else student.float()
        joints = len(self.body.names) or student.shape[1] // 3
        sure = teacher[:, :joints].sigmoid()
        loss = F.binary_cross_entropy_with_logits(student[:, :joints], sure)
        weights = sure.repeat_interleave(2, dim=1)
        apart = F.huber_loss(student[:, joints : 3 * joints], teacher[:, joints : 3 * joints], reduction="none")
        loss = loss + self.offset_weight * (weights * apart).sum() / weights.sum().clamp_min(1e-6)
        if student.shape[1] == 4 * joints:
            loss = loss + F.binary_cross_entropy_with_logits(
                student[:, 3 * joints :], teacher[:, 3 * joints :].sigmoid()
            )
        return loss

    def meter(self, names: Sequence[str], *, pictures: int = 24) -> PointErrors:
        body = self.body if self.body.names else Body(tuple(names))
        return PointErrors(body, threshold=self.threshold, pictures=pictures, loss=self.of)

    def chance(self, names: Sequence[str]) -> float:
        """Every cell as likely as not to be near each joint: log 2, or of squares a quarter. Offsets, which add little, are
        left out."""
        return 0.25 if self.gaussian else math.log(2)


def _within(points: Tensor, size: tuple[int, int]) -> Tensor:
    """The points ⟨N,K,2⟩, with NaN for those on or outside the border of what is shown: x <= 0, x >= width, and so for y."""
    x, y = points[..., 0], points[..., 1]
    inside = (x > 0) & (x < size[1]) & (y > 0) & (y < size[0])
    return points.where(inside[..., None], torch.nan)
