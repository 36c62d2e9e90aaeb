"""Sheets of many small pictures, of networks that make pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, final

from .blocks import Block

__all__ = ["Sheet", "Sheets"]


@dataclass(frozen=True)
class Sheet:
    """Many pictures side by side as one, a data URI; `says` what is what in it. Those of one `group` are shown together."""

    title: str
    image: str
    says: str = ""
    group: str = ""


@final
@dataclass(frozen=True)
class Sheets(Block):
    """What a generator makes: over its training, from narrower latents, between two latents, beside the nearest real pictures."""

    kind: ClassVar[str] = "sheets"
    bulky: ClassVar[tuple[str, ...]] = ("sheets",)
    sheets: tuple[Sheet, ...]

    def to_record(self) -> dict[str, object]:
        return {"sheets": [asdict(one) for one in self.sheets]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self | None:
        if not record.get("sheets"):
            return None
        names = ("title", "image", "says", "group")
        return cls(tuple(Sheet(*(str(one[name]) for name in names)) for one in record["sheets"]))
