"""A picture with what is there and what a detector found, as a drawing that stands in the page itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup, escape

from ..scores import Scene, Scenes, Thing
from ..units import plural
from .picture import BLUE, DARK, ORANGE, WHITE, named, over

__all__ = ["Outlined", "OutlinedPicture", "drawn", "outlined"]

_RIGHT, _WRONG, _TRUE, _UNDER = BLUE, ORANGE, WHITE, DARK
# Things up to which each has its name written beside it; of more, only mistakes have.
_WRITTEN, _MISTAKES_WRITTEN = 12, 20


@dataclass(frozen=True)
class OutlinedPicture:
    """One picture; `drawing` is empty where there is no picture to show."""

    drawing: Markup
    error: str
    path: str


@dataclass(frozen=True)
class Outlined:
    """The pictures in which most is wrong, of the so many that were `kept`."""

    section: ClassVar[str] = "sections/scenes.html.j2"
    heading: ClassVar[str] = "Scores"
    pictures: tuple[OutlinedPicture, ...]
    kept: int
    cutoff: float


def outlined(scenes: Scenes, shown: Iterator[Markup], room: int) -> Outlined:
    """`shown` gives what may be shown of each picture, or nothing; outlines may take `room` bytes beside them."""
    pictures = []
    for scene, image in zip(scenes.worst, shown, strict=False):
        drawing = drawn(scene, scenes, image)
        room -= len(drawing) - len(image)
        found = f"{scene.missed} of {plural(len(scene.true), 'object')} missed, {scene.wrong} wrong"
        pictures.append(OutlinedPicture(drawing if room > 0 else Markup(""), found, named(scene.path, scene.index)))
    return Outlined(tuple(pictures), len(scenes.worst), scenes.cutoff)


def drawn(scene: Scene, scenes: Scenes, image: Markup) -> Markup:
    """An SVG in the picture's pixels: truths in white, those missed with a thicker line, right detections in blue and wrong ones in
    orange; masks as outlines. Empty without `image`."""
    left, top, right, bottom = scene.place
    unit = max(right - left, bottom - top) / 100
    few = len(scene.true) + len(scene.found) <= _WRITTEN
    mistakes = [one for one in (*scene.true, *scene.found) if not one.right][:_MISTAKES_WRITTEN]
    parts = [
        *(_thing(one, scenes.names, unit) for one in scene.true),
        *(_thing(one, scenes.names, unit) for one in scene.found),
        *(_name(one, scenes.names, unit, scene.place) for one in (scene.found if few else mistakes)),
    ]
    return over(image, scene.place, f"{plural(len(scene.true), 'object')}, {len(scene.found)} found", parts)


def _thing(one: Thing, names: tuple[str, ...], unit: float) -> str:
    """A line on a wider dark one, which shows on any picture; of a mask its outline, and a faint box."""
    if one.score is None:
        colour, wide, said = _TRUE, 0.35 if one.right else 0.8, "there, and found" if one.right else "there, and missed"
    else:
        colour, wide = _RIGHT if one.right else _WRONG, 0.6
        said = f"found at {one.score:.2f}, {'right' if one.right else 'wrong'}"
    title = f"<title>{escape(_named(one, names))}, {said}</title>"
    x1, y1, x2, y2 = one.box
    box = f"M{x1:g} {y1:g}H{x2:g}V{y2:g}H{x1:g}z"
    lines = [(one.outline, 1.0), (box, 0.35)] if one.outline else [(box, 1.0)]
    drawn = "".join(
        f'<path d="{path}" stroke="{_UNDER}" stroke-opacity="{0.6 * share:g}" stroke-width="{(wide + 0.45) * unit * share:.3g}"/>'
        f'<path d="{path}" stroke="{colour}" stroke-opacity="{min(1, 2 * share):g}" stroke-width="{wide * unit * share:.3g}"/>'
        for path, share in lines
    )
    return f'<g fill="none">{title}{drawn}</g>'


def _name(one: Thing, names: tuple[str, ...], unit: float, place: tuple[float, float, float, float]) -> str:
    """What it is, where it could be several things, and of a detection its score: over its box, within the picture."""
    size = 4 * unit
    words = [*([_named(one, names)] if len(names) > 1 else []), *([] if one.score is None else [f"{one.score:.2f}"])]
    text = escape(" ".join(words))
    colour = _TRUE if one.score is None else _RIGHT if one.right else _WRONG
    x = max(one.box[0], place[0])
    y = one.box[1] - 0.25 * size if one.box[1] - size > place[1] else one.box[1] + size
    return (
        f'<text x="{x:.4g}" y="{y:.4g}" font-size="{size:.3g}" fill="{colour}" stroke="{_UNDER}" stroke-width="{0.2 * size:.3g}" '
        f'paint-order="stroke">{text}</text>'
    )


def _named(one: Thing, names: tuple[str, ...]) -> str:
    return names[one.label] if 0 <= one.label < len(names) else f"class {one.label}"
