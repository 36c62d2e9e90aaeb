"""A row of a network's table of stages."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..tagged import LATER

__all__ = ["StageRow"]


@dataclass(frozen=True)
class StageRow:
    """Equal blocks in a row: `size` is the side of the map they put out, `width` its channels.

    Of an oblong map `size` is the height, and `sides` are both; of clips `sides` are frames, height and width. Counts are of one
    input, for which the units of the row run `times` times.
    """

    name: str
    what: str
    size: int
    depth: int
    width: int
    stride: int
    macs: int
    params: int
    activations: int
    sides: tuple[int, ...] = field(default=(), metadata=LATER)
    times: int = field(default=1, metadata=LATER)

    @property
    def px(self) -> str:
        """The size of the map in words: `56`, `64x48` where it is oblong, or `16x56x56` of clips."""
        return "x".join(map(str, self.sides)) or str(self.size)
