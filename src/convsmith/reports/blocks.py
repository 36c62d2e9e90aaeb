"""What an evaluation leaves to be drawn, as a page shows it: a view and a section for each kind of block, asking no task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from .. import plot
from ..scores import Block, Confusion, Curves, ErrorKinds, Mistake, Mistakes, Poses, Scenes, Sheets, Table
from .format import plain
from .posed import Posed, posed
from .scenes import Outlined, outlined
from .sheets import Gallery, gallery

__all__ = [
    "Costs",
    "Drawing",
    "Matrix",
    "Pair",
    "Picture",
    "Pictures",
    "Rows",
    "Shown",
    "confused_pairs",
    "pictures",
    "shown",
]

MOST_PICTURES = 24
_DATA_URI = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True)
class Pair:
    """A true class that is taken for another one."""

    true: str
    predicted: str
    times: int
    of: int


@dataclass(frozen=True)
class Picture:
    """A wrong image as the report shows it; `image` is empty where there is none to show."""

    image: Markup
    true: str
    predicted: str
    confidence: float
    path: str


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix, what it says of each class (the rows of `Confusion.per_class`), and the mistakes made most often."""

    section: ClassVar[str] = "sections/matrix.html.j2"
    heading: ClassVar[str] = "Right and wrong"
    figure: Markup
    classes: tuple[tuple[str | float | None, ...], ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Pictures:
    """Wrong images, of the so many that were `kept`."""

    section: ClassVar[str] = "sections/pictures.html.j2"
    heading: ClassVar[str] = "Right and wrong"
    pictures: tuple[Picture, ...]
    kept: int


@dataclass(frozen=True)
class Rows:
    """A table in text."""

    section: ClassVar[str] = "sections/rows.html.j2"
    heading: ClassVar[str] = "Scores"
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Drawing:
    """Curves."""

    section: ClassVar[str] = "sections/curves.html.j2"
    heading: ClassVar[str] = "Scores"
    figure: Markup


@dataclass(frozen=True)
class Costs:
    """What each kind of mistake costs, by masks or boxes (`of`), beside so many detections that are `right`."""

    section: ClassVar[str] = "sections/error_kinds.html.j2"
    heading: ClassVar[str] = "Scores"
    figure: Markup
    of: str
    right: int


Shown = Costs | Drawing | Gallery | Matrix | Outlined | Pictures | Posed | Rows


def shown(block: Block, key: str, room: int) -> Shown:
    """A block as the page shows it: drawings under the `key` of their run, pictures in at most `room` bytes."""
    match block:
        case Confusion():
            # Not user text: `plot.svg` serialises an element tree, which escapes whatever names stand in it.
            figure = Markup(plot.svg(plot.confusion(block.matrix, block.classes), key=key))
            return Matrix(figure, block.per_class().rows, confused_pairs(block))
        case Mistakes():
            return Pictures(pictures(block, room), len(block.wrong))
        case Poses():
            return posed(block, shown_images([one.image for one in block.worst[:MOST_PICTURES]], room))
        case Scenes():
            images = shown_images([one.image for one in block.worst[:MOST_PICTURES]], room // 2)
            return outlined(block, images, room // 2)
        case Sheets():
            return gallery(block, shown_images([one.image for one in block.sheets], room))
        case Curves():
            return Drawing(Markup(plot.svg(plot.precision_recall(block.curves), key=key)))
        case ErrorKinds():
            figure = Markup(plot.svg(plot.error_costs(block.kinds), key=key))
            return Costs(figure, "masks" if block.of == "mask" else "boxes", block.right)
        case Table():
            rows = tuple(tuple("–" if cell is None else plain(cell) for cell in row) for row in block.rows)
            return Rows(block.title, block.columns, rows)
        case _:
            raise TypeError(f"no section shows a block of kind {block.kind}")


def confused_pairs(confusion: Confusion, most: int = 10) -> tuple[Pair, ...]:
    """The mistakes made most often, the most frequent first, of equal ones that with the smaller class first."""
    found = [
        (times, row, column)
        for row, counts in enumerate(confusion.matrix)
        for column, times in enumerate(counts)
        if times and row != column
    ]
    found.sort(key=lambda cell: (-cell[0], cell[1], cell[2]))
    return tuple(
        Pair(confusion.classes[row], confusion.classes[column], times, sum(confusion.matrix[row]))
        for times, row, column in found[:most]
    )


def pictures(mistakes: Mistakes, room: int) -> tuple[Picture, ...]:
    """Up to 24 wrong images. One whose picture does not fit into what is left of `room` bytes, or is no data URI, keeps
    its caption alone: a report is mailed, and loads nothing from elsewhere."""
    wrong = mistakes.wrong[:MOST_PICTURES]
    images = shown_images([one.image for one in wrong], room)
    return tuple(_picture(mistakes.classes, one, image) for one, image in zip(wrong, images, strict=True))


def shown_images(uris: Sequence[str], room: int) -> Iterator[Markup]:
    """What a page may show of pictures that share the `room`; empty for one that no longer fits."""
    for uri in uris:
        image = shown_image(uri, room)
        room -= len(image)
        yield image


def shown_image(uri: str, room: int) -> Markup:
    """A picture that a page may show; empty where it is no data URI, or takes more than `room` bytes."""
    return Markup(uri if len(uri) <= room and _DATA_URI.fullmatch(uri) else "")


def embedded(image: str) -> Markup:
    """A picture that stands in the page itself; empty where it is anything but one."""
    return Markup(image if _DATA_URI.fullmatch(image) else "")


def _picture(classes: Sequence[str], wrong: Mistake, image: Markup) -> Picture:
    source = wrong.path or (f"image {wrong.index}" if wrong.index is not None else "")
    true, predicted = _class_name(classes, wrong.label), _class_name(classes, wrong.predicted)
    return Picture(image, true, predicted, wrong.confidence, source)


def _class_name(classes: Sequence[str], index: int) -> str:
    return classes[index] if 0 <= index < len(classes) else f"class {index}"
