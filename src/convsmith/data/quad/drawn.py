"""Frames of drawn animals, as inputs: each is a pure function of the seed, the identity and the number of the frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import ImageDraw
from torch import Tensor

from ..inputs import Inputs, as_channels
from ..pictures import Cut, cut_out
from ..targets import Body, Joints
from .animal import BONES, NAMES, RULER, Animal, Cone, Pose
from .draws import Identity
from .scene import SIZE, TWICE, Scene

__all__ = ["BODY", "FRAMES", "Quads", "joints_of"]

FRAMES = 40
# No two points change places in a mirror: near and off say which is nearer the camera, and are so in the mirror, too.
BODY = Body(NAMES, BONES, (), RULER)


@dataclass(frozen=True, eq=False)
class Quads(Inputs):
    """Frames that are drawn when they are asked for: frame `frames[i]` of `who[i]`."""

    who: tuple[Identity, ...]
    frames: np.ndarray
    seed: int = 0

    def __len__(self) -> int:
        return len(self.who)

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        frame = _film(self.who[i], self.seed).frame(int(self.frames[i]))
        return as_channels(torch.from_numpy(cut_out(frame, cut)).permute(2, 0, 1), channels)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        return SIZE

    def where(self, i: int) -> None:
        return None

    def take(self, indices: np.ndarray) -> Quads:
        return Quads(tuple(self.who[i] for i in indices), self.frames[indices], self.seed)


def joints_of(quads: Quads, names: Sequence[str], *, hidden: bool = True, body: Body = BODY) -> Joints:
    """The points of each frame; `names` are of the individuals. What lies outside of the frame is not labelled, and without
    `hidden` neither is what stands behind another part of the animal. Nothing is drawn for it."""
    xy = np.empty((len(quads), len(NAMES), 2))
    for i, who in enumerate(quads.who):
        pose = _film(who, quads.seed).pose(int(quads.frames[i]))
        points = pose.xy
        outside = (points < -0.5).any(1) | (points[:, 0] > SIZE[1] - 0.5) | (points[:, 1] > SIZE[0] - 0.5)
        points[outside if hidden else outside | pose.hidden()] = np.nan
        xy[i] = points
    return Joints.of(xy, body, names)


@dataclass(frozen=True)
class _Film:
    """All frames of one individual."""

    animal: Animal
    scene: Scene

    def pose(self, frame: int) -> Pose:
        return self.animal.pose(frame, self.scene.across(frame), self.scene.ground)

    def frame(self, frame: int) -> np.ndarray:
        pose = self.pose(frame)
        xy = pose.xy
        picture = self.scene.behind(frame)
        drawing = ImageDraw.Draw(picture)
        self.scene.shadow(drawing, float(xy[2:4, 0].mean()), 1.15 * float(xy[2, 0] - xy[4, 0]))
        for cone in pose.far + pose.near:
            _draw(drawing, cone)
        return self.scene.taken(frame, picture)


@lru_cache(maxsize=64)
def _film(who: Identity, seed: int) -> _Film:
    return _Film(Animal(who, seed), Scene(who, FRAMES, seed))


def _draw(drawing: ImageDraw.ImageDraw, cone: Cone) -> None:
    """At `TWICE` the size; whole coordinates are the middles of a frame's pixels."""
    (ax, ay), (bx, by) = ((TWICE * (x + 0.5) - 0.5, TWICE * (y + 0.5) - 0.5) for x, y in (cone.a, cone.b))
    r, s = TWICE * cone.r, TWICE * cone.s
    length = math.hypot(bx - ax, by - ay)
    if length > abs(r - s):  # else one disc lies in the other
        turn, lean = math.atan2(by - ay, bx - ax), math.acos((r - s) / length)
        sides = [(math.cos(turn + one), math.sin(turn + one)) for one in (lean, -lean)]
        (x0, y0), (x1, y1) = sides
        drawing.polygon([(ax + r * x0, ay + r * y0), (bx + s * x0, by + s * y0),
                         (bx + s * x1, by + s * y1), (ax + r * x1, ay + r * y1)], fill=cone.colour)  # fmt: skip
    for x, y, radius in ((ax, ay, r), (bx, by, s)):
        drawing.ellipse((x - radius, y - radius, x + radius, y + radius), fill=cone.colour)
