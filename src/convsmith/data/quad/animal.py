"""A walking animal seen from its side: where its points are in each frame, and the shapes that it is drawn of.

Lengths are in pixels of a frame for an animal of size 1. All shapes are round cones: two discs and what lies between them.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .draws import Draw, Identity

__all__ = ["BONES", "NAMES", "RULER", "Animal", "Colour", "Cone", "Pose"]

NAMES = (
    *("nose", "eye", "withers", "croup", "tailbase", "shoulder", "elbow", "stifle"),
    *("near_front_knee", "near_front_hoof", "off_front_knee", "off_front_hoof"),
    *("near_hind_hock", "near_hind_hoof", "off_hind_hock", "off_hind_hoof"),
)
BONES = (
    *((0, 1), (1, 2), (2, 3), (3, 4), (2, 5), (5, 6), (3, 7)),
    *((6, 8), (8, 9), (6, 10), (10, 11), (7, 12), (12, 13), (7, 14), (14, 15)),
)
RULER = (0, 1)

Colour = tuple[int, int, int]
Spot = tuple[float, float]

# Hue, saturation and value: bay, chestnut, black, grey, white, palomino, dun, blue roan.
_COATS = (
    *((0.055, 0.66, 0.44), (0.045, 0.78, 0.60), (0.08, 0.20, 0.17), (0.60, 0.06, 0.58)),
    *((0.11, 0.07, 0.92), (0.105, 0.52, 0.83), (0.10, 0.34, 0.63), (0.62, 0.22, 0.44)),
)
# Of each leg the phase, whether it is a front leg, and whether it is nearer to the camera; those that are drawn first, first.
_LEGS = ((math.pi, True, False), (math.pi / 2, False, False), (0.0, True, True), (1.5 * math.pi, False, True))


@dataclass(frozen=True)
class Cone:
    """A disc of radius `r` about `a`, one of radius `s` about `b`, and all between them, in one colour."""

    a: Spot
    b: Spot
    r: float
    s: float
    colour: Colour

    def covers(self, spot: Spot) -> bool:
        (ax, ay), (bx, by), (x, y) = self.a, self.b, spot
        along, down = bx - ax, by - ay
        length = along * along + down * down
        t = min(1.0, max(0.0, ((x - ax) * along + (y - ay) * down) / length)) if length else 0.0
        return math.hypot(x - ax - t * along, y - ay - t * down) < self.r + t * (self.s - self.r)


@dataclass(frozen=True, eq=False)
class Pose:
    """The points of an animal in a frame, float64 ⟨16,2⟩, its off legs, and what is drawn after them."""

    xy: np.ndarray
    far: list[Cone]
    near: list[Cone]

    def hidden(self) -> np.ndarray:
        """Whether each point is behind another part of the animal, which only off legs can be: bool ⟨16⟩."""
        off = [name.startswith("off") for name in NAMES]
        return np.array([
            is_off and any(cone.covers((x, y)) for cone in self.near)
            for is_off, (x, y) in zip(off, self.xy.tolist(), strict=True)
        ])  # fmt: skip


@dataclass(frozen=True)
class Animal:
    """An individual, of which `pose` gives each frame. `ground` is the row of its hooves, `across` the middle of its trunk."""

    who: Identity
    seed: int = 0

    @cached_property
    def _build(self) -> dict[str, float]:
        build, size = Draw(self.seed, "build", self.who.build), Draw(self.seed, "size", self.who.size)
        whole = size.between("scale", 0.75, 1.3)
        lengths = {"trunk": 51.0, "leg": 30.0, "neck": 24.5, "girth": 21.0, "head": 18.5}
        return {name: whole * usual * build.between(name, 0.85, 1.2) for name, usual in lengths.items()}

    @cached_property
    def _coat(self) -> tuple[Colour, Colour]:
        """The coat and the mane."""
        draw = Draw(self.seed, "coat", self.who.coat)
        hue, saturation, value = _COATS[draw.whole("class", 0, len(_COATS) - 1)]
        hue += draw.between("hue", -0.015, 0.015)
        coat = _rgb(hue, saturation * draw.between("saturation", 0.8, 1.2), value * draw.between("value", 0.88, 1.1))
        mane = _rgb(hue, 0.3, draw.between("mane", 0.06, 0.3) if draw.chance("dark mane", 0.65) else 0.85)
        return coat, mane

    def pose(self, frame: int, across: float, ground: float) -> Pose:
        """How it stands in a frame."""
        build, walk = self._build, Draw(self.seed, "walk", self.who.walk)
        phase = walk.between("start", 0, 2 * math.pi) + walk.between("rate", 0.2, 0.35) * frame
        trunk, leg, girth = build["trunk"], build["leg"], build["girth"]
        bob = 0.03 * leg * math.sin(2 * phase)
        back = ground - leg - 0.86 * girth + bob
        withers, croup = (across + 0.40 * trunk, back - 0.03 * girth), (across - 0.42 * trunk, back + 0.02 * girth)
        shoulder = (across + 0.44 * trunk, back + 0.50 * girth)
        elbow, stifle = (across + 0.36 * trunk, back + 0.90 * girth), (across - 0.34 * trunk, back + 0.86 * girth)
        hip = (across - 0.38 * trunk, back + 0.42 * girth)
        tailbase = (across - 0.57 * trunk, back + 0.16 * girth)

        jitter = walk.generator("neck", frame).normal(0, 1, 2)
        raised = math.radians(42 + 10 * math.sin(phase / 2.3) + 3 * float(np.clip(jitter[0], -2, 2)))
        bowed = math.radians(-48 + 8 * math.sin(phase / 1.7 + 1) + 2 * float(np.clip(jitter[1], -2, 2)))
        chest = (withers[0] + 0.02 * trunk, withers[1] + 0.30 * girth)
        poll = _from((withers[0], withers[1] + 0.1 * girth), raised, build["neck"])
        nose, eye = _from(poll, bowed, build["head"]), _from(poll, bowed + 0.32, 0.30 * build["head"])

        legs = [self._leg(front, near, phase + own, elbow if front else stifle, ground) for own, front, near in _LEGS]
        far, close = legs[0][2] + legs[1][2], legs[2][2] + legs[3][2]
        body = self._trunk(withers, croup, shoulder, hip, tailbase, phase) + self._head(chest, poll, nose, eye, bowed)
        xy = np.array([
            nose, eye, withers, croup, tailbase, shoulder, elbow, stifle,
            *legs[2][:2], *legs[0][:2], *legs[3][:2], *legs[1][:2],
        ])  # fmt: skip
        return Pose(xy, far, body + close)

    def _leg(self, front: bool, near: bool, phase: float, top: Spot, ground: float) -> tuple[Spot, Spot, list[Cone]]:
        """The middle joint of a leg, its hoof, and its cones from the top down. Off legs are set back, darker and behind."""
        draw, (coat, _) = Draw(self.seed, "coat", self.who.coat), self._coat
        length = ground - top[1]
        top = top if near else (top[0] + 0.05 * length, top[1] - 0.02 * length)
        swing, lift = 0.42 * math.sin(phase), max(0.0, math.cos(phase))
        hoof = (top[0] + length * math.sin(swing), ground - 0.2 * length * lift)
        bend = 0.55 * lift
        if front:
            joint = _from(top, -math.pi / 2 + swing * 0.9 + bend * 0.8, 0.5 * length)
            hoof = (hoof[0] - 0.06 * length * lift, hoof[1])
        else:
            joint = _from(top, -math.pi / 2 + swing * 0.8 - 0.34 + bend * 0.2, 0.47 * length)
        shade = 1.0 if near else 0.66
        name = f"{'near' if near else 'off'} {'front' if front else 'hind'}"
        shank = (235, 232, 225) if draw.chance(f"sock, {name}", 0.35) else coat
        thick = 0.19 * self._build["girth"]
        above = (top[0], top[1] - (0.35 if near else 0.12) * length)
        dark = (38, 33, 30) if shank is coat else (70, 62, 52)
        cones = [
            Cone(above, top, (1.5 if front else 2.1) * thick, 1.15 * thick, _shaded(coat, shade)),
            Cone(top, joint, 1.15 * thick, 0.62 * thick, _shaded(coat, shade * 0.97)),
            Cone(joint, (hoof[0], hoof[1] - 0.5 * thick), 0.60 * thick, 0.46 * thick, _shaded(shank, shade)),
            Cone((hoof[0] - 0.1 * thick, hoof[1] - 0.4 * thick), (hoof[0] + 0.5 * thick, hoof[1] - 0.3 * thick),
                 0.5 * thick, 0.38 * thick, _shaded(dark, shade)),
        ]  # fmt: skip
        return joint, hoof, cones

    def _trunk(self, withers: Spot, croup: Spot, shoulder: Spot, hip: Spot, tailbase: Spot, phase: float) -> list[Cone]:
        draw, (coat, mane) = Draw(self.seed, "coat", self.who.coat), self._coat
        girth, trunk = self._build["girth"], self._build["trunk"]
        swing = 0.16 * math.sin(phase)
        end = _from(tailbase, -math.pi / 2 - 0.3 + swing, 0.62 * self._build["leg"])
        middle = _from(tailbase, -math.pi / 2 - 0.75 + swing / 2, 0.3 * self._build["leg"])
        belly, light = _shaded(coat, 0.84), _shaded(coat, 1.04)
        front = (withers[0] - 0.05 * trunk, withers[1] + 0.52 * girth)
        rear = (hip[0] + 0.02 * trunk, croup[1] + 0.5 * girth)
        cones = [
            Cone(tailbase, middle, 0.10 * girth, 0.14 * girth, mane),
            Cone(middle, end, 0.14 * girth, 0.06 * girth, mane),
            Cone(front, rear, 0.52 * girth, 0.48 * girth, belly),
            Cone(front, shoulder, 0.50 * girth, 0.40 * girth, coat),
            Cone(rear, (tailbase[0] + 0.1 * trunk, tailbase[1] + 0.16 * girth), 0.48 * girth, 0.22 * girth, coat),
            Cone((front[0], front[1] - 0.06 * girth), (rear[0], rear[1] - 0.06 * girth), 0.46 * girth, 0.42 * girth, coat),
            Cone((front[0] - 0.06 * trunk, front[1] - 0.26 * girth), (rear[0] + 0.04 * trunk, rear[1] - 0.24 * girth),
                 0.15 * girth, 0.15 * girth, light),
        ]  # fmt: skip
        if draw.chance("patches", 0.3):
            for k in range(draw.whole("number of patches", 4, 9)):
                along, down = draw.between(f"patch {k}, along", 0.02, 0.98), draw.between(f"patch {k}, down", -0.2, 0.2)
                spot = (front[0] + along * (rear[0] - front[0]), front[1] + down * girth)
                radius = draw.between(f"patch {k}", 0.09, 0.22) * girth
                end = (spot[0] + 0.8 * radius, spot[1] + 0.3 * radius)
                cones.append(Cone(spot, end, radius, 0.7 * radius, (238, 234, 226)))
        return cones

    def _head(self, chest: Spot, poll: Spot, nose: Spot, eye: Spot, bowed: float) -> list[Cone]:
        draw, (coat, mane) = Draw(self.seed, "coat", self.who.coat), self._coat
        girth, head = self._build["girth"], self._build["head"]
        crest = [(chest[0] + t * (poll[0] - chest[0]), chest[1] + t * (poll[1] - chest[1])) for t in (0.25, 0.6, 0.98)]
        muzzle = (nose[0] - 0.10 * head * math.cos(bowed), nose[1] + 0.10 * head * math.sin(bowed))
        ear = _from(poll, bowed + 1.9, 0.28 * head)
        cones = [
            *(Cone((x - 0.14 * girth, y - 0.16 * girth), (x - 0.26 * girth, y + 0.02 * girth), 0.13 * girth, 0.09 * girth, mane)
              for x, y in crest),
            Cone(ear, poll, 0.02 * head, 0.09 * head, _shaded(coat, 0.8)),
            Cone(chest, poll, 0.40 * girth, 0.19 * head, coat),
            Cone(poll, muzzle, 0.22 * head, 0.12 * head, coat),
            Cone(_from(muzzle, bowed + math.pi, 0.08 * head), muzzle, 0.12 * head, 0.115 * head, _shaded(coat, 0.62)),
        ]  # fmt: skip
        if draw.chance("blaze", 0.4):
            start, stop = _from(eye, bowed + 0.2, 0.1 * head), _from(muzzle, bowed + 1.4, 0.07 * head)
            cones.append(Cone(start, stop, 0.05 * head, 0.05 * head, (240, 238, 232)))
        cones.append(Cone(eye, eye, 0.075 * head, 0.075 * head, (240, 240, 235)))
        return [*cones, Cone(eye, eye, 0.05 * head, 0.05 * head, (15, 12, 12))]


def _from(start: Spot, angle: float, length: float) -> Spot:
    """The spot that lies so far from another, at an angle that counts up from the right."""
    return start[0] + length * math.cos(angle), start[1] - length * math.sin(angle)


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(1.0, saturation), min(1.0, value))
    return round(255 * red), round(255 * green), round(255 * blue)


def _shaded(colour: Colour, by: float) -> Colour:
    red, green, blue = (min(255, round(by * one)) for one in colour)
    return red, green, blue
