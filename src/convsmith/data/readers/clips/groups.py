"""Which clips were cut out of one film, as far as their names say it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["groups_of"]

# How sets call their files: the part of a name that clips of one film share.
_NAMED = (
    re.compile(r"(?P<film>.+_g\d+)_c\d+"),  # UCF101, HMDB's `#` left out: v_Archery_g05_c02
    re.compile(r"(?P<film>.+)_\d{6}_\d{6}"),  # Kinetics, its downloaders': ID_000012_000022
)


def groups_of(paths: Sequence[str]) -> tuple[str, ...]:
    """The film that each clip was cut out of; empty where no two are of one.

    >>> groups_of(["a/v_Archery_g05_c02.avi", "a/v_Archery_g05_c03.avi", "b/other.mp4"])
    ('v_Archery_g05', 'v_Archery_g05', 'b/other')
    """
    found = tuple(_film(Path(path)) for path in paths)
    return found if len(set(found)) < len(found) else ()


def _film(path: Path) -> str:
    for named in _NAMED:
        if match := named.fullmatch(path.stem):
            return match["film"]
    return str(path.with_suffix(""))
