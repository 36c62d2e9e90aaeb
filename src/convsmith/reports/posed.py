"""A picture with the points that a network found in it, as a drawing that stands in the page itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup, escape

from ..scores import Pose, Poses
from .picture import BLUE, DARK, ORANGE, WHITE, named, over

__all__ = ["Posed", "PosedPicture", "drawn", "posed"]

_SURE, _UNSURE, _TRUE, _UNDER = BLUE, ORANGE, WHITE, DARK


@dataclass(frozen=True)
class PosedPicture:
    """One picture; `drawing` is empty where there is no picture to show."""

    drawing: Markup
    individual: str
    error: str
    path: str


@dataclass(frozen=True)
class Posed:
    """The pictures whose points are farthest off, of the so many that were `kept`."""

    section: ClassVar[str] = "sections/poses.html.j2"
    heading: ClassVar[str] = "Scores"
    pictures: tuple[PosedPicture, ...]
    kept: int
    cutoff: float


def posed(poses: Poses, shown: Iterator[Markup]) -> Posed:
    """`shown` gives what may be shown of each picture, or nothing."""
    pictures = tuple(
        PosedPicture(
            drawn(pose, poses, image),
            pose.individual,
            f"{pose.error:.1f} px off" if poses.unit else f"{pose.error:.2f} of its scale off",
            named(pose.path, pose.index),
        )
        for pose, image in zip(poses.worst, shown, strict=False)
    )
    return Posed(pictures, len(poses.worst), poses.cutoff)


def drawn(pose: Pose, poses: Poses, image: Markup) -> Markup:
    """An SVG in the picture's pixels: what is true as +, a sure prediction as a dot and an unsure one as ×, as DeepLabCut has
    them; bones between predictions, and a line from each to its truth. Empty without `image`."""
    left, top, right, bottom = pose.place
    unit = max(right - left, bottom - top) / 100
    says = f"{pose.individual or 'picture'}: {len(pose.predicted)} points found"
    return over(image, pose.place, says, (*_lines(pose, poses, unit), *_marks(pose, poses, unit)))


def _lines(pose: Pose, poses: Poses, unit: float) -> Iterator[str]:
    at = pose.predicted
    bones = "".join(f"M{at[a][0]:g} {at[a][1]:g}L{at[b][0]:g} {at[b][1]:g}" for a, b in poses.bones)
    if bones:
        yield f'<path d="{bones}" fill="none" stroke="{_SURE}" stroke-opacity=".65" stroke-width="{0.6 * unit:.3g}"/>'
    off = "".join(
        f"M{true[0]:g} {true[1]:g}L{x:g} {y:g}" for (x, y), true in zip(at, pose.true, strict=True) if true is not None
    )
    if off:
        yield f'<path d="{off}" fill="none" stroke="{_TRUE}" stroke-opacity=".8" stroke-width="{0.4 * unit:.3g}"/>'


def _marks(pose: Pose, poses: Poses, unit: float) -> Iterator[str]:
    for name, true in zip(poses.names, pose.true, strict=True):
        if true is not None:
            yield _stroked(_plus(true, 1.7 * unit), _TRUE, unit, f"{name}, labelled")
    for name, found, likelihood in zip(poses.names, pose.predicted, pose.likelihood, strict=True):
        title = f"{name}, likelihood {likelihood:.2f}"
        if likelihood >= poses.cutoff:
            yield (
                f'<circle cx="{found[0]:g}" cy="{found[1]:g}" r="{1.1 * unit:.3g}" fill="{_SURE}" stroke="{_UNDER}" '
                f'stroke-width="{0.35 * unit:.3g}"><title>{escape(title)}</title></circle>'
            )
        else:
            yield _stroked(_cross(found, 1.2 * unit), _UNSURE, unit, title)


def _stroked(path: str, colour: str, unit: float, title: str) -> str:
    """A line on a wider dark one, which shows on any picture."""
    return (
        f'<g fill="none"><title>{escape(title)}</title><path d="{path}" stroke="{_UNDER}" stroke-width="{1.1 * unit:.3g}"/>'
        f'<path d="{path}" stroke="{colour}" stroke-width="{0.6 * unit:.3g}"/></g>'
    )


def _plus(at: tuple[float, float], reach: float) -> str:
    x, y = at
    return f"M{x - reach:.4g} {y:.4g}L{x + reach:.4g} {y:.4g}M{x:.4g} {y - reach:.4g}L{x:.4g} {y + reach:.4g}"


def _cross(at: tuple[float, float], reach: float) -> str:
    x, y = at
    low, high, left, right = (f"{one:.4g}" for one in (y - reach, y + reach, x - reach, x + reach))
    return f"M{left} {low}L{right} {high}M{left} {high}L{right} {low}"
