"""The outline of a mask as the path of an SVG."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np

from ..rle import decoded_part, extent_of

__all__ = ["outline", "outline_of_runs"]

_TURNS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def outline_of_runs(runs: np.ndarray, size: tuple[int, int], step: int = 1) -> str:
    """Of a mask as its runs (`rle`) in a picture of `size` (height, width), no finer than `step` pixels; empty of an empty mask."""
    extent = extent_of(runs, size)
    if extent is None:
        return ""
    left, top, right, bottom = extent
    pixels = decoded_part(runs, size, (top, left, bottom - top, right - left))
    # What is thinner than a step is looked at all the same.
    start = min(step // 2, pixels.shape[0] - 1, pixels.shape[1] - 1)
    return outline(pixels[start::step, start::step], (left, top), step)


def outline(mask: np.ndarray, at: tuple[int, int] = (0, 0), step: int = 1) -> str:
    """The borders of a mask, bool ⟨h,w⟩, along its pixels' edges: closed lines, holes the other way about. The mask's first corner
    is at `at` (x, y), and its pixels are `step` wide.

    >>> outline(np.ones((2, 3), bool), (10, 20))
    'M10 20h3v2h-3z'
    """
    ends = _edges(mask)
    lines = []
    while ends:
        start = min(ends, key=lambda corner: (corner[1], corner[0]))
        lines.append(_line(_walked(ends, start), at, step))
    return "".join(lines)


def _edges(mask: np.ndarray) -> dict[tuple[int, int], list[int]]:
    """From each corner, the directions in which a border leaves it, with the inside at the right hand (y points down)."""
    inside = np.pad(mask.astype(bool), 1)
    ends: dict[tuple[int, int], list[int]] = defaultdict(list)
    down = inside[1:].astype(np.int8) - inside[:-1]  # a row of edges between two rows of pixels
    along = inside[:, 1:].astype(np.int8) - inside[:, :-1]
    for y, x in zip(*np.nonzero(down == 1), strict=True):
        ends[int(x) - 1, int(y)].append(0)
    for y, x in zip(*np.nonzero(down == -1), strict=True):
        ends[int(x), int(y)].append(2)
    for y, x in zip(*np.nonzero(along == -1), strict=True):
        ends[int(x), int(y) - 1].append(1)
    for y, x in zip(*np.nonzero(along == 1), strict=True):
        ends[int(x), int(y)].append(3)
    return ends


def _walked(ends: dict[tuple[int, int], list[int]], start: tuple[int, int]) -> list[tuple[int, int]]:
    """The corners of one closed line; its edges are taken away. Where two lines meet, it turns to the right."""
    corners, at = [start], start
    direction = _left_off(ends, at, ends[at][0])
    while True:
        x, y = at[0] + _TURNS[direction][0], at[1] + _TURNS[direction][1]
        at = (x, y)
        if at == start and not (ends.get(at) and (direction + 1) % 4 in ends[at]):
            return corners
        next_ = (direction + 1) % 4 if (direction + 1) % 4 in ends[at] else ends[at][0]
        _left_off(ends, at, next_)
        if next_ != direction:
            corners.append(at)
        direction = next_


def _left_off(ends: dict[tuple[int, int], list[int]], at: tuple[int, int], direction: int) -> int:
    ends[at].remove(direction)
    if not ends[at]:
        del ends[at]
    return direction


def _line(corners: list[tuple[int, int]], at: tuple[int, int], step: int) -> str:
    parts = [f"M{at[0] + step * corners[0][0]} {at[1] + step * corners[0][1]}"]
    for (x1, y1), (x2, y2) in pairwise(corners):
        parts.append(f"h{step * (x2 - x1)}" if y1 == y2 else f"v{step * (y2 - y1)}")
    return "".join(parts) + "z"
