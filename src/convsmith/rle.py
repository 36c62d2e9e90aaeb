"""Masks as runs, in COCO's form: pixels counted down each column in turn, beginning with those outside.

A mask of height h and width w is read column after column, and written as the lengths of its runs: first of pixels outside (0
where the first pixel is inside), then inside, and so on; the lengths add up to h w. As a string each length after the third is
the difference to the one two before it, in groups of five bits from the lowest on, 32 added where another group follows, and 48
to all. This is the `counts` of pycocotools, to the byte; of NumPy alone, and without a copy of the whole picture where a part
of it is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = [
    "area_of",
    "decoded_part",
    "encoded",
    "extent_of",
    "from_string",
    "of_part",
    "of_runs",
    "runs_of",
    "to_string",
]

# Groups of five bits of a difference of two 32-bit lengths.
_MOST_GROUPS = 7


def of_runs(mask: np.ndarray) -> np.ndarray:
    """The lengths of the runs of a mask, bool or 0 and not 0, ⟨height, width⟩: int64."""
    flat = np.asarray(mask, dtype=bool).T.reshape(-1)
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate(([0], ends, [len(flat)]))
    runs = np.diff(edges) if len(flat) else np.zeros(1, np.int64)
    return np.concatenate(([0], runs)) if len(flat) and flat[0] else runs


def of_part(part: np.ndarray, at: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The same of a mask of `size` (height, width) that is 0 but in a rectangle, bool ⟨h,w⟩, that begins `at` (row, column).

    The memory is that of the rectangle: the rest of the picture is never made.
    """
    columns = np.pad(part.T.astype(np.int8), ((0, 0), (1, 1)))
    edges = np.diff(columns, axis=1)
    places = (np.arange(part.shape[1])[:, None] + at[1]) * size[0] + np.arange(part.shape[0] + 1) + at[0]
    starts, ends = places[edges == 1], places[edges == -1]
    # A run that ends where the next column's begins goes on.
    apart = np.ones(len(starts) + 1, bool)
    apart[1:-1] = starts[1:] != ends[:-1]
    bounds = np.stack([starts[apart[:-1]], ends[apart[1:]]], axis=1).reshape(-1)
    runs = np.diff(np.concatenate(([0], bounds, [size[0] * size[1]])))
    return runs if runs[-1] or len(runs) == 1 else runs[:-1]


def encoded(mask: np.ndarray) -> bytes:
    """A mask, bool or 0 and not 0, ⟨height, width⟩, as COCO's compressed string."""
    return to_string(of_runs(mask))


def to_string(runs: np.ndarray | Sequence[int]) -> bytes:
    """Lengths of runs as COCO's compressed string."""
    left = np.array(runs, dtype=np.int64)
    left[3:] -= np.asarray(runs, dtype=np.int64)[1:-2]
    groups = np.empty((len(left), _MOST_GROUPS), np.uint8)
    used = np.zeros((len(left), _MOST_GROUPS), bool)
    going = np.ones(len(left), bool)
    for k in range(_MOST_GROUPS):
        five = left & 31
        left >>= 5
        used[:, k] = going
        going = going & np.where(five & 16, left != -1, left != 0)
        groups[:, k] = five + 32 * going + 48
        if not going.any():
            break
    return groups[used].tobytes()


def from_string(counts: bytes | str) -> np.ndarray:
    """The lengths of the runs that COCO's compressed string says, int64.

    Raises:
        ValueError: it is no such string: a character that means nothing, an end within a number, a length below 0.
    """
    data = counts.encode("ascii", "replace") if isinstance(counts, str) else counts
    codes = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    if not len(codes):
        return np.zeros(0, np.int64)
    last = codes & 32 == 0
    if codes.min() < 0 or codes.max() > 63 or not last[-1]:
        raise ValueError("it is no run-length string")
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    place = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    if place.max() >= _MOST_GROUPS:
        raise ValueError("it has a number of more than 32 bits")
    runs = np.add.reduceat((codes & 31) << 5 * place, starts)
    below = codes[ends] & 16 > 0
    runs[below] -= np.int64(1) << 5 * (place[ends[below]] + 1)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    if runs.min() < 0:
        raise ValueError("it has a length below 0")
    return np.asarray(runs)


def runs_of(counts: bytes | str | Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """The lengths of a mask's runs, of a compressed string or of a list of them, for a picture of `size` (height, width).

    Raises:
        ValueError: what is wrong with them.
    """
    if isinstance(counts, bytes | str):
        runs = from_string(counts)
    else:
        runs = np.array(counts, dtype=np.int64)
        if runs.ndim != 1 or (runs < 0).any():
            raise ValueError("its run lengths are no list of numbers from 0")
    if (n := int(runs.sum())) != size[0] * size[1]:
        raise ValueError(f"its runs are of {n} pixels, and the picture has {size[0]} x {size[1]}")
    return runs


def area_of(runs: np.ndarray) -> int:
    """How many pixels are inside."""
    return int(runs[1::2].sum())


def extent_of(runs: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """The smallest rectangle around what is inside, (x1, y1, x2, y2) in corners of pixels; None of an empty mask.

    A run that reaches beyond its column covers it from the top or to the bottom.
    """
    height, ends = size[0], np.cumsum(runs)
    inside = runs[1::2] > 0
    first, last = ends[0:-1:2][inside[: len(ends) // 2]], ends[1::2][inside] - 1
    if not len(last):
        return None
    left, right = int(first[0] // height), int(last[-1] // height)
    if (first // height != last // height).any():
        return left, 0, right + 1, height
    return left, int((first % height).min()), right + 1, int((last % height).max()) + 1


def decoded_part(runs: np.ndarray, size: tuple[int, int], part: tuple[int, int, int, int]) -> np.ndarray:
    """The rectangle (top, left, height, width) of a mask of `size` (height, width) that its runs say, bool ⟨height, width⟩.

    The memory is that of the rectangle's columns: the rest of the picture is never made.
    """
    top, left, high, wide = part
    first, last = left * size[0], (left + wide) * size[0]
    ends = np.cumsum(runs)
    low, up = np.searchsorted(ends, (first, last), side="right")
    edges = np.clip(np.concatenate(([first], ends[low : up + 1])), first, last)
    lengths = np.diff(edges)
    if (lacking := (last - first) - int(lengths.sum())) > 0:
        lengths = np.append(lengths, lacking)
    inside = (low + np.arange(len(lengths))) % 2 == 1
    columns = np.repeat(inside, lengths).reshape(wide, size[0])
    return np.asarray(columns[:, top : top + high].T)
