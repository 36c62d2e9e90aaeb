"""What the names of points say of a body: which change places in a mirror, and which two measure an individual."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ....errors import DataError, nearest
from ...targets import Body

__all__ = ["body_of", "pairs_of"]

# The usual ruler of a head, where a body has one.
_NOSE, _EYE = "nose", "eye"
_LEFT = re.compile(r"left|(?<![a-z])l(?![a-z])", re.IGNORECASE)


def body_of(
    names: tuple[str, ...], bones: Sequence[tuple[int, int]], ruler: str | None, where: str
) -> tuple[Body, tuple[str, ...]]:
    """The body of these points, and what is said of its ruler where nobody named one: nose and eye (the first of two), else
    the ends of the first bone, else the first two points.

    Raises:
        DataError: `ruler` is not two of the names.
    """
    if len(set(names)) < len(names):
        raise DataError(f"{where} names the body part '{next(one for one in names if names.count(one) > 1)}' twice")
    if ruler is not None:
        return Body(names, tuple(bones), pairs_of(names), _named(names, ruler, where)), ()
    lower = [name.lower() for name in names]
    eye = next((name for name in (_EYE, *lower) if name in lower and name.endswith(_EYE)), None)
    if _NOSE in lower and eye is not None:
        found = (lower.index(_NOSE), lower.index(eye))
    elif bones:
        found = bones[0]
    elif len(names) > 1:
        found = (0, 1)
    else:
        return Body(names, tuple(bones), ()), (f"{where} has one body part: errors are in pixels, and of no scale",)
    one, other = (names[k] for k in found)
    said = f"an individual's scale is its median distance from {one} to {other}; --ruler says another"
    return Body(names, tuple(bones), pairs_of(names), found), (said,)


def pairs_of(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The points that change places in a mirror, by their names: left_ear and right_ear, LeftEar and RightEar, L_Ear and R_Ear."""
    lower = [name.lower() for name in names]
    pairs = []
    for k, name in enumerate(lower):
        for found in _LEFT.finditer(name):
            other = name[: found.start()] + ("right" if len(found.group()) > 1 else "r") + name[found.end() :]
            if other in lower:
                pairs.append((k, lower.index(other)))
                break
    return tuple(pairs)


def _named(names: tuple[str, ...], ruler: str, where: str) -> tuple[int, int]:
    ends = [one.strip() for one in ruler.split(",")]
    if len(ends) != 2 or ends[0] == ends[1]:
        raise DataError(f"--ruler is '{ruler}'; give two body parts joined by a comma, such as {','.join(names[:2])}")
    for one in ends:
        if one not in names:
            raise DataError(
                f"--ruler: '{one}' is no body part of {where}{nearest(one, names)}; it has {', '.join(names)}"
            )
    return names.index(ends[0]), names.index(ends[1])
