"""Every kind of block, and how `scores.json` holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .blocks import Block, Confusion, Mistakes, Poses, Table
from .objects import Curves, ErrorKinds, Scenes
from .sheets import Sheets

__all__ = ["BLOCKS", "found_in", "recorded"]

BLOCKS: tuple[type[Block], ...] = (Confusion, Mistakes, Table, Poses, Curves, ErrorKinds, Scenes, Sheets)


def found_in(record: Mapping[str, Any]) -> tuple[Block, ...]:
    """All blocks that `scores.json` holds. Raises ValueError, KeyError or TypeError at a damaged one."""
    return tuple(block for kind in BLOCKS for block in kind.all_from(record))


def recorded(blocks: Iterable[Block]) -> dict[str, object]:
    """What blocks add to `scores.json`."""
    every, record = tuple(blocks), dict[str, object]()
    for kind in BLOCKS:
        if own := [block for block in every if isinstance(block, kind)]:
            record |= kind.several(own)
    return record
