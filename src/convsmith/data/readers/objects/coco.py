"""Objects of COCO's JSON: a box, a class, and a mask, of each annotation."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ....errors import DataError, nearest
from ....rle import area_of, extent_of, from_string, runs_of, to_string
from ....units import plural
from ...images import Skipped
from ...inputs import Files
from ...pictures import is_turned, measured, unwarned
from ...split import Split
from ...targets import Objects
from ..cocofile import CocoFile
from ..names import listed, worded
from ..parts import Part
from .gathered import Gathered, Mended, Object
from .outlines import outlined

__all__ = ["read_objects"]

# A box and the smallest one around its mask are of one object where their union is no larger than so many times what they share.
_SAME = 4.0


def read_objects(file: CocoFile, category: str | None = None, said: str = "") -> Part:
    """The objects of all pictures that a file names, those without any among them; only of one `category` where that is said.

    Classes are the categories in the order of their numbers, used or not. Boxes stay as they are written; masks become runs:
    polygons by COCO's own rasteriser. What training should not see (crowds, boxes that are cut off) is left to
    `Objects.answers`. Pictures that are missing, or of another size than the file says, are skipped and listed; where only the
    size before the camera's orientation fits, they are read as they are stored. Objects without width or height, outside of
    their picture or without a pixel are left out and counted.

    Raises:
        DataError: ids or names that are there twice, annotations of images or categories that are not there, boxes that are no
            four numbers, masks that are none, masks of some objects only. It names the annotation.
        UserError: polygons, and no package that can draw them.
    """
    return _Reader(file, category).part(said)


@dataclass(frozen=True, eq=False)
class _Reader:
    file: CocoFile
    category: str | None

    @cached_property
    def categories(self) -> list[dict[str, Any]]:
        """Those that are wanted, in the order of their ids."""
        rows = self.file.of("categories")
        if not rows:
            raise DataError(f"{self.file.path} has no categories")
        _once([row.get("id") for row in rows], f"{self.file.path}: two categories have the id")
        _once([row.get("name") for row in rows], f"{self.file.path}: two categories are called")
        if not all(isinstance(row.get("id"), int) and isinstance(row.get("name"), str) for row in rows):
            raise DataError(f"{self.file.path}: a category without an id that is a whole number, or without a name")
        names = [str(row["name"]) for row in rows]
        if self.category is not None and self.category not in names:
            raise DataError(
                f"--category: {self.file.path} has no '{self.category}'{nearest(self.category, names)}; it has {listed(names)}"
            )
        return sorted((row for row in rows if self.category in (None, row["name"])), key=lambda row: row["id"])

    @cached_property
    def labels(self) -> dict[int, int]:
        """The class, from 1, of each category that is wanted; 0 of the others."""
        every = dict.fromkeys((row["id"] for row in self.file.of("categories")), 0)
        return every | {row["id"]: k + 1 for k, row in enumerate(self.categories)}

    @cached_property
    def annotations(self) -> Mapping[object, list[dict[str, Any]]]:
        """Those that are wanted, by image."""
        found: dict[object, list[dict[str, Any]]] = defaultdict(list)
        for row in self.file.of("annotations"):
            number = row.get("category_id")
            if number not in self.labels:
                raise DataError(
                    f"{self._where(row)} is of category {number}, which is not there; it has "
                    f"{', '.join(map(str, sorted(self.labels)[:12]))}"
                )
            found[self.file.image(row)["id"]] += [row] if self.labels[number] else []
        return found

    @cached_property
    def masked(self) -> bool:
        """Whether the objects have masks: all, or none."""
        alone = [row for rows in self.annotations.values() for row in rows if not row.get("iscrowd")]
        have = [bool(row.get("segmentation")) for row in alone]
        if any(have) and not all(have):
            raise DataError(
                f"{self._where(alone[have.index(False)])} has no mask, and {plural(sum(have), 'other')} of {len(alone)} "
                "have one: give all a segmentation, or none"
            )
        return any(have)

    def part(self, said: str) -> Part:
        images = self.file.images
        if len(images) < len(self.file.of("images")):
            _once([row["id"] for row in self.file.of("images")], f"{self.file.path}: two images have the id")
        _once([str(row["file_name"]) for row in images.values()], f"{self.file.path}: two images have the file name")
        names = tuple(worded(str(row["name"])) for row in self.categories)
        mended, gathered = Mended(), Gathered(self.masked)
        skipped, paths, stored, both = [], [], [], 0
        with unwarned():
            for image in images.values():
                place = str(self.file.place(image))
                size, is_stored, why = _size(place, image)
                if why:
                    skipped.append(Skipped(place, why))
                    continue
                both += not is_stored and is_turned(place)
                stored += [place] if is_stored else []
                rows = self.annotations.get(image["id"], [])
                read = (self._object(row, size, mended) for row in rows)
                gathered.add((one for one in read if one is not None), size, image["id"])
                paths.append(place)
        if not paths:
            first = f", {skipped[0].path} first: {skipped[0].why}" if skipped else ""
            raise DataError(f"none of the pictures that {self.file.path} names can be used{first}")
        notes = (*mended.notes("annotation"), *self._numbering(), *_turned(stored, both))
        ids = tuple(int(row["id"]) for row in self.categories)
        inputs = Files(tuple(paths), frozenset(stored))
        split = Split(inputs, Objects(tuple(gathered.truths), ids))
        return Part(split, names, said, tuple(skipped), notes)

    def _object(self, row: Mapping[str, Any], size: tuple[int, int], mended: Mended) -> Object | None:
        """The object of an annotation; None of one that is none."""
        number = row.get("id")
        crowd = bool(row.get("iscrowd"))
        rle = self._mask(row, size) if self.masked else None
        runs = None if rle is None else from_string(rle)
        if crowd and self.masked and runs is None:
            mended.note("left out, since they are crowds without a region", number)
            return None
        area = None if runs is None else area_of(runs)
        if area == 0:
            mended.note("left out, since their masks have no pixel", number)
            return None
        around = None if runs is None else extent_of(runs, size)
        if row.get("bbox") is None and around is not None:
            mended.note("boxes that are not there are taken from the masks", number)
            box = (float(around[0]), float(around[1]), float(around[2]), float(around[3]))
        else:
            box = self._box(row)
        if box[2] <= box[0] or box[3] <= box[1]:
            mended.note("left out, since their boxes have no width or height", number)
            return None
        if box[0] >= size[1] or box[1] >= size[0] or box[2] <= 0 or box[3] <= 0:
            mended.note("left out, since they lie outside of their pictures", number)
            return None
        if min(box[0], box[1]) <= -1 or box[2] >= size[1] + 1 or box[3] >= size[0] + 1:
            mended.note("boxes that reach beyond their pictures are cut off in training", number)
        if around is not None and not crowd and _apart(box, around):
            mended.note("boxes that do not fit their masks (a box is x, y, width, height)", number)
        given = row.get("area")
        if not (isinstance(given, int | float) and math.isfinite(given) and given > 0):
            mended.note(f"areas that are not there are taken from the {'boxes' if area is None else 'masks'}", number)
            given = (box[2] - box[0]) * (box[3] - box[1]) if area is None else area
        return Object(box, self.labels[row["category_id"]], float(given), rle, crowd)

    def _box(self, row: Mapping[str, Any]) -> tuple[float, float, float, float]:
        found = row.get("bbox")
        fine = isinstance(found, list) and len(found) == 4 and all(
            isinstance(one, int | float) and math.isfinite(one) for one in found
        )  # fmt: skip
        if not fine:
            raise DataError(f"{self._where(row)} has the box {str(found)[:60]}; give x, y, width and height as numbers")
        x, y, width, height = map(float, found or ())
        return x, y, x + width, y + height

    def _mask(self, row: Mapping[str, Any], size: tuple[int, int]) -> bytes | None:
        found = row.get("segmentation")
        if not found:
            return None
        try:
            if isinstance(found, dict):
                return _runs(found, size)
            return outlined(_polygons(found), size)
        except ValueError as error:
            raise DataError(f"{self._where(row)} has a mask that is none: {error}") from None

    def _numbering(self) -> tuple[str, ...]:
        ids = [row.get("id") for row in self.file.of("annotations")]
        odd = len(ids) - len(set(map(repr, ids)))
        said = []
        if odd:
            said.append(f"annotations bear the number of another one, and are told apart all the same: {odd}")
        if 0 in ids:
            said.append(
                "an annotation is number 0, which COCO's own scorer takes for none: for scores they are numbered anew"
            )
        return tuple(said)

    def _where(self, row: Mapping[str, Any]) -> str:
        return f"{self.file.path}: annotation {row.get('id')}"


def _once(values: list[Any], what: str) -> None:
    seen = set()
    for value in map(repr, values):
        if value in seen:
            raise DataError(f"{what} {value}")
        seen.add(value)


def _runs(found: Mapping[str, Any], size: tuple[int, int]) -> bytes:
    """Runs as a string, once they are known to be of the picture. Raises ValueError."""
    own, counts = found.get("size"), found.get("counts")
    if not isinstance(own, list) or tuple(own) != size:
        raise ValueError(f"its size is {own}, and the picture's height and width are {list(size)}")
    if not isinstance(counts, str) and not (isinstance(counts, list) and all(isinstance(one, int) for one in counts)):
        raise ValueError("its counts are neither a string nor whole numbers")
    runs = runs_of(counts, size)
    return counts.encode("ascii") if isinstance(counts, str) else to_string(runs)


def _polygons(found: object) -> list[list[float]]:
    """Polygons as they are, once they are known to be some. Raises ValueError."""
    if not isinstance(found, list) or not all(isinstance(one, list) for one in found):
        raise ValueError("it is neither a list of polygons nor runs with counts and size")
    for one in found:
        if len(one) < 6 or len(one) % 2:
            raise ValueError(f"a polygon of {plural(len(one), 'number')}; give x and y of three corners or more")
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in one):
            raise ValueError("a polygon of something else than numbers")
    return found


def _apart(box: tuple[float, float, float, float], around: tuple[int, int, int, int]) -> bool:
    """Whether a box cannot be that of a mask of this extent."""
    wide = min(box[2], around[2]) - max(box[0], around[0])
    high = min(box[3], around[3]) - max(box[1], around[1])
    shared = max(0.0, wide) * max(0.0, high)
    both = (box[2] - box[0]) * (box[3] - box[1]) + (around[2] - around[0]) * (around[3] - around[1]) - shared
    return both > _SAME * max(shared, 1.0)


def _size(place: str, image: Mapping[str, Any]) -> tuple[tuple[int, int], bool, str]:
    """The height and width that a picture's annotations are of, whether that is as it is stored, and why it cannot be used."""
    if not Path(place).is_file():
        return (0, 0), False, "it is annotated, and there is no such image"
    said = image.get("height"), image.get("width")
    try:
        upright = measured(place)
        if None in said or said == upright:
            return upright, False, ""
        if said == (stored := measured(place, upright=False)):
            return stored, True, ""
    except OSError as error:
        return (0, 0), False, str(error)
    return (0, 0), False, f"it is {upright[1]}x{upright[0]}, and its annotations are of {said[1]}x{said[0]}"


def _turned(stored: list[str], both: int) -> tuple[str, ...]:
    """What is said of pictures that a camera has turned."""
    said = []
    if stored:
        said.append(
            f"read as they are stored, not as the camera was held, since their annotations are of that size: "
            f"{plural(len(stored), 'image')}, {Path(stored[0]).name} first"
        )
    if both:
        said.append(
            f"turned as the camera was held, and their annotations taken for those of the turned: {plural(both, 'image')}"
        )
    return tuple(said)
