"""The objects that a detector finds in an image, as COCO writes them and as a picture shows them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...evals.coco_files import as_annotations
from ...evals.matching import Found
from ...rle import decoded_part, extent_of
from ...shown import Shown

__all__ = ["CUTOFF", "Spotted", "drawn_objects"]

CUTOFF = 0.5  # the score from which an object is drawn
_FILL = 0.35  # how much of a mask's colour lies over the picture


@dataclass(frozen=True, repr=False, eq=False)
class Spotted(Shown):
    """What a detector finds in one image of `size` (height, width): `found`, in its own pixels, the likeliest first; labels count
    through `names` from 1.

    `index` counts the images as they were given, from 0; `path` is None where the image came from no file.
    """

    index: int
    path: str | None
    size: tuple[int, int]
    names: tuple[str, ...]
    found: Found

    def __str__(self) -> str:
        each = zip(self.labels, self.found.scores.tolist(), strict=True)
        said = ", ".join(f"{label} {score:.2f}" for label, score in each)
        return f"{self.path or f'image {self.index}'}: {said or 'nothing'}"

    def __len__(self) -> int:
        return len(self.found)

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each."""
        return tuple(self.names[label - 1] for label in self.found.labels.tolist())

    @property
    def boxes(self) -> np.ndarray:
        """⟨n,4⟩ as (x1, y1, x2, y2), of which pixel i covers [i, i+1]."""
        return self.found.boxes

    @property
    def scores(self) -> np.ndarray:
        return self.found.scores

    def mask(self, n: int) -> np.ndarray | None:
        """The mask of the n-th, bool ⟨height, width⟩; None of a detector without."""
        if self.found.masks is None:
            return None
        return decoded_part(self.found.masks[n], self.size, (0, 0, *self.size))

    def to_record(self) -> dict[str, object]:
        objects = [
            {"label": label, "score": one["score"], **{key: one[key] for key in ("bbox", "segmentation") if key in one}}
            for label, one in zip(self.labels, as_annotations(self.found, self.size), strict=True)
        ]
        return {
            "index": self.index, "path": self.path, "height": self.size[0], "width": self.size[1], "objects": objects
        }  # fmt: skip


def drawn_objects(picture: np.ndarray, one: Spotted, *, cutoff: float = CUTOFF) -> Image.Image:
    """A picture, uint8 (height, width, 1 or 3), with the boxes, masks, names and scores of what scores `cutoff` or more. Each name
    has a colour of its own; where there is one name, it is not written, and each object has its colour. What is smaller than the
    words about it has none, since they would hide its neighbours."""
    pixels = np.array(Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("RGB"))
    chosen = np.flatnonzero(one.scores >= cutoff).tolist()
    colours = _colours(one, chosen)
    if one.found.masks is not None:
        for n in chosen:
            _laid_over(pixels, one.found.masks[n], one.size, colours[n])
    image = Image.fromarray(pixels)
    pen, size = ImageDraw.Draw(image), max(image.size)
    line, font = max(1, round(size / 400)), ImageFont.load_default(max(9.0, size / 50))
    # The likeliest on top.
    for n in reversed(chosen):
        x1, y1, x2, y2 = one.boxes[n].tolist()
        # Pillow's rectangle ends on a pixel, a box on its far corner.
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colours[n], width=line)
        text = f"{one.labels[n]} {one.scores[n]:.2f}" if len(one.names) > 1 else f"{one.scores[n]:.2f}"
        _, _, right, bottom = pen.textbbox((0, 0), text, font=font)
        if (right + 2) * (bottom + 2) > (x2 - x1) * (y2 - y1):
            continue
        x, y = _beside((x1, y1, x2, y2), (right + 2, bottom + 2), image.size)
        pen.rectangle((x, y, x + right + 2, y + bottom + 2), fill=colours[n])
        pen.text((x + 1, y), text, fill=(0, 0, 0), font=font)
    return image


def _beside(
    box: tuple[float, float, float, float], tag: tuple[float, float], picture: tuple[int, int]
) -> tuple[float, float]:
    """Where a tag of that width and height begins: over its box, below it where there is no room, and inside where there is none
    either, within a picture of that width and height."""
    x1, y1, _, y2 = box
    wide, high = tag
    x = min(x1, max(0.0, picture[0] - wide))
    above, below = y1 - high, y2
    return x, above if above >= 0 else below if below + high <= picture[1] else y1


def _laid_over(pixels: np.ndarray, runs: np.ndarray, size: tuple[int, int], colour: tuple[int, int, int]) -> None:
    extent = extent_of(runs, size)
    if extent is None:
        return
    left, top, right, bottom = extent
    mask = decoded_part(runs, size, (top, left, bottom - top, right - left))
    part = pixels[top:bottom, left:right]
    part[mask] = (part[mask] * (1 - _FILL) + _FILL * np.array(colour)).astype(np.uint8)


def _colours(one: Spotted, chosen: Sequence[int]) -> dict[int, tuple[int, int, int]]:
    """Far apart from the first on: each hue is a golden section of the circle on."""
    colours = {}
    for place, n in enumerate(chosen):
        hue = place if len(one.names) == 1 else int(one.found.labels[n]) - 1
        red, green, blue = colorsys.hsv_to_rgb((0.13 + 0.618034 * hue) % 1, 0.75, 1.0)
        colours[n] = round(255 * red), round(255 * green), round(255 * blue)
    return colours
