"""The parts that data is divided into, as a reader finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..images import Skipped
from ..split import Split

__all__ = ["PARTS", "WHOLE", "Part", "Parts"]

PARTS = ("train", "val", "test")
WHOLE = "all"


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Images with labels that count through `classes`, which are empty where the labels are numbers without names.

    `name` is what people call it: "the folder val/".
    """

    split: Split
    classes: tuple[str, ...]
    name: str = ""
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


# Some of PARTS, or WHOLE alone where the data is not divided. A part is read when it is asked for: what is wrong with a test
# part need not stop a training that leaves it alone.
Parts: TypeAlias = Mapping[str, Callable[[], Part]]
