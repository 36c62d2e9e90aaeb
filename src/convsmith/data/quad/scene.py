"""What stands behind a drawn animal, and what a camera makes of it."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .animal import Colour
from .draws import Draw, Identity

__all__ = ["SIZE", "TWICE", "Scene"]

SIZE = (112, 192)  # height and width of a frame
TWICE = 2  # what it is drawn larger by, and reduced from
_PAN = 5.0  # pixels that the camera follows in a frame, at most; a picture of the scene is that much wider for each


@dataclass(frozen=True)
class Scene:
    """The place of an individual: `behind` is a frame without the animal, at `TWICE` the size, `taken` what the camera gives."""

    who: Identity
    frames: int
    seed: int = 0

    @property
    def _draw(self) -> Draw:
        return Draw(self.seed, "scene", self.who.scene)

    @cached_property
    def ground(self) -> float:
        """The row that hooves stand on."""
        return self._draw.between("ground", 94, 103)

    def across(self, frame: int) -> float:
        """The column of the middle of the trunk: the camera follows, more or less."""
        walk = Draw(self.seed, "walk", self.who.walk)
        slow = walk.between("slow", 0.05, 0.12) * frame + walk.between("slow start", 0, 6)
        return walk.between("across", 80, 96) + 7 * math.sin(slow)

    def behind(self, frame: int) -> Image.Image:
        left = round(TWICE * frame * self._draw.between("pan", 1.5, _PAN))
        return self._panorama.crop((left, 0, left + TWICE * SIZE[1], TWICE * SIZE[0]))

    def shadow(self, drawing: ImageDraw.ImageDraw, across: float, wide: float) -> None:
        if Draw(self.seed, "light", self.who.light).chance("shadow", 0.5):
            x, y, half, flat = TWICE * across, TWICE * (self.ground + 1), TWICE * wide / 2, TWICE * 3.2
            drawing.ellipse((x - half, y - flat, x + half, y + flat), fill=_shaded(self._soil, 0.6))

    def taken(self, frame: int, drawn: Image.Image) -> np.ndarray:
        """The drawing as a camera takes it: reduced, blurred, in its light, with noise. uint8 (112, 192, 3)."""
        light, walk = Draw(self.seed, "light", self.who.light), Draw(self.seed, "walk", self.who.walk)
        small = drawn.resize((SIZE[1], SIZE[0]), Image.Resampling.LANCZOS)
        small = small.filter(ImageFilter.GaussianBlur(light.between("blur", 0, 0.7)))
        noise = walk.generator("noise", frame).standard_normal((*SIZE, 3), dtype=np.float32)
        values = np.asarray(small, np.float32) * np.float32(light.between("gain", 0.6, 1.2))
        values += np.float32(light.between("noise", 1, 7)) * noise
        taken: np.ndarray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        return taken

    @cached_property
    def _soil(self) -> Colour:
        return _rgb(self._draw.between("soil hue", 0.07, 0.36), self._draw.between("soil", 0.15, 0.55),
                    self._draw.between("soil light", 0.35, 0.75))  # fmt: skip

    @cached_property
    def _panorama(self) -> Image.Image:
        """The scene as wide as the camera sees of it in all frames."""
        draw, k = self._draw, TWICE
        width, height = k * (SIZE[1] + math.ceil(_PAN * self.frames)), k * SIZE[0]
        sky = _rgb(
            draw.between("sky hue", 0.5, 0.68), draw.between("sky", 0.02, 0.45), draw.between("sky light", 0.6, 1.0)
        )
        horizon = round(k * draw.between("horizon", 38, 74))
        shade = np.linspace(0.86, 1.1, horizon)[:, None], np.linspace(0.82, 1.12, height - horizon)[:, None]
        rows = np.concatenate([by * np.array(own) for by, own in zip(shade, (sky, self._soil), strict=True)])
        pixels = np.clip(np.rint(rows), 0, 255).astype(np.uint8)
        picture = Image.fromarray(np.ascontiguousarray(np.broadcast_to(pixels[:, None], (height, width, 3))))
        drawing = ImageDraw.Draw(picture)
        self._tufts(drawing, width, horizon, height)
        share = width / (k * SIZE[1])  # as many objects in each frame, however far the camera goes
        n = round(draw.whole("number", 3, 11) * share)
        kinds = (self._blocks, self._bushes, self._fence, self._peaks)
        kinds[draw.whole("kind", 0, 3)](drawing, n, width, horizon)
        return picture

    def _tufts(self, drawing: ImageDraw.ImageDraw, width: int, horizon: int, height: int) -> None:
        generator = self._draw.generator("tufts")
        for x, y, by in zip(*generator.random((3, width // 6)).tolist(), strict=True):
            row, column = horizon + (height - horizon) * y, x * width
            long = 2 + 5 * y
            drawing.line((column, row, column + long, row), fill=_shaded(self._soil, 0.75 + 0.45 * by), width=1)

    def _things(self, n: int, width: int) -> list[tuple[float, float, float, Colour]]:
        """Of each object its middle, two numbers in [0, 1) and a colour."""
        generator, hue = self._draw.generator("things"), self._draw.between("hue", 0, 1)
        rows = generator.random((n, 5)).tolist()
        return [
            (x * width, a, b, _rgb(hue + 0.15 * h, 0.15 + 0.4 * s, 0.3 + 0.5 * a)) for x, a, b, h, s in rows
        ]  # fmt: skip

    def _blocks(self, drawing: ImageDraw.ImageDraw, n: int, width: int, horizon: int) -> None:
        for x, a, b, colour in self._things(n, width):
            half, high = 10 + 34 * a, 14 + 66 * b
            drawing.rectangle((x - half, horizon - high, x + half, horizon + 4), fill=colour)
            for column in range(round(x - half) + 6, round(x + half) - 8, 16):
                drawing.rectangle(
                    (column, horizon - high + 8, column + 6, horizon - high + 18), fill=_shaded(colour, 0.6)
                )

    def _bushes(self, drawing: ImageDraw.ImageDraw, n: int, width: int, horizon: int) -> None:
        for x, a, b, _ in self._things(2 * n, width):
            half, high, green = 12 + 26 * a, 10 + 40 * b, _rgb(0.22 + 0.16 * b, 0.35 + 0.3 * a, 0.22 + 0.35 * b)
            for dx, dy, size in ((-0.5, 0.1, 0.7), (0.5, 0.0, 0.75), (0.0, -0.3, 0.9)):
                y = horizon - high * 0.35 + dy * high
                drawing.ellipse((x + (dx - size) * half, y - size * high, x + (dx + size) * half, y + size * high * 0.8),
                                fill=_shaded(green, 0.85 + 0.25 * size * (dy < 0)))  # fmt: skip

    def _fence(self, drawing: ImageDraw.ImageDraw, n: int, width: int, horizon: int) -> None:
        draw, step = self._draw, max(20, width // (2 * n))
        colour = _rgb(0.08, draw.between("wood", 0.05, 0.5), draw.between("paint", 0.4, 0.95))
        foot, high = horizon + 14, round(draw.between("high", 30, 52))
        for row in (0.9, 0.5):
            y = foot - row * high
            drawing.rectangle((0, y - 2.5, width, y + 2.5), fill=_shaded(colour, 0.9))
        for x in range(round(draw.between("first post", 0, step)), width, step):
            drawing.rectangle((x - 3, foot - high - 3, x + 3, foot), fill=colour)

    def _peaks(self, drawing: ImageDraw.ImageDraw, n: int, width: int, horizon: int) -> None:
        for x, a, b, colour in self._things(n, width):
            half, high = 50 + 70 * a, 26 + 56 * b
            drawing.polygon([(x - half, horizon), (x, horizon - high), (x + half, horizon)], fill=colour)
            snow = 0.28
            drawing.polygon([(x - snow * half, horizon - (1 - snow) * high), (x, horizon - high),
                             (x + snow * half, horizon - (1 - snow) * high)], fill=_shaded(colour, 1.5))  # fmt: skip


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(1.0, saturation), min(1.0, value))
    return round(255 * red), round(255 * green), round(255 * blue)


def _shaded(colour: Colour, by: float) -> Colour:
    red, green, blue = (min(255, round(by * one)) for one in colour)
    return red, green, blue
