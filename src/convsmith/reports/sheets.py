"""What a generator makes, as sheets in groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from ..scores import Sheets

__all__ = ["Gallery", "ShownSheet", "gallery"]

# Whatever else a group is called is shown under its own name.
_HEADINGS = {
    "over time": "From the same latents, over the training",
    "truncation": "Truncation",
    "between": "Between two latents",
    "nearest": "Nearest training images",
}


@dataclass(frozen=True)
class ShownSheet:
    """One sheet; `image` is empty where there is none to show."""

    title: str
    image: Markup
    says: str


@dataclass(frozen=True)
class Gallery:
    """All sheets, by the heading that they stand under."""

    section: ClassVar[str] = "sections/sheets.html.j2"
    heading: ClassVar[str] = "Scores"
    groups: tuple[tuple[str, tuple[ShownSheet, ...]], ...]


def gallery(sheets: Sheets, shown: Iterator[Markup]) -> Gallery:
    """`shown` gives what may be shown of each picture, or nothing."""
    groups: dict[str, list[ShownSheet]] = {}
    for sheet, image in zip(sheets.sheets, shown, strict=False):
        groups.setdefault(sheet.group, []).append(ShownSheet(sheet.title, image, sheet.says))
    return Gallery(tuple((_HEADINGS.get(name, name), tuple(group)) for name, group in groups.items()))
