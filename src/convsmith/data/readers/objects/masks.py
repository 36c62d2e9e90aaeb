"""A folder of pictures with masks, of objects of one kind: a file for each object, or one of numbers for each picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ....errors import DataError
from ....rle import encoded
from ....units import plural
from ...images import Skipped
from ...inputs import Files
from ...pictures import measured, unwarned, why
from ...split import Split
from ...targets import Objects
from ..below import folders_in, look_in, told
from ..names import worded
from ..parts import Part
from .gathered import Gathered, Mended, Object

__all__ = ["is_masked", "read_masks"]

_IMAGES, _MASKS = "images", "masks"
# The one class, since masks do not name what they are of.
_CLASS = "object"


@dataclass(frozen=True)
class _Pair:
    """A picture and the files of its masks; `numbered`: one file, whose pixels are the numbers of objects."""

    picture: str
    masks: tuple[str, ...]
    numbered: bool


def is_masked(folder: Path) -> bool:
    """Whether pictures lie there with masks: in images/ and masks/, or each in a folder of its own that has both."""
    if (folder / _IMAGES).is_dir() and (folder / _MASKS).is_dir():
        return True
    first = next(iter(folders_in(folder)), None)
    return first is not None and (first / _IMAGES).is_dir() and (first / _MASKS).is_dir()


def read_masks(folder: Path, said: str = "") -> Part:
    """The objects of a folder in one of two layouts.

    1. `images/NAME.png` and `masks/NAME.png` (or `NAME_mask.png`, `NAME_masks.png`): the mask's pixels are whole numbers, 0
       where there is nothing, and all that are equal are one object. 8 or 16 bits, or a palette, whose numbers count.
    2. `NAME/images/NAME.png` and `NAME/masks/*.png`, a file for each object: it is where the file is not black.

    A picture without a mask's file has no objects in the second layout and is skipped in the first. Masks of another size than
    their picture's are refused, as are colours where numbers are asked for. Boxes are the smallest around the masks.

    Raises:
        DataError: no pictures, or a mask that does not fit.
    """
    mended, gathered = Mended(), Gathered(masked=True)
    paths, skipped, lone = [], [], 0
    pairs, notes = _pairs(folder)
    with unwarned():
        for pair in pairs:
            if pair.numbered and not pair.masks:
                skipped.append(Skipped(pair.picture, f"it has no mask in {_MASKS}/"))
                continue
            try:
                size = measured(pair.picture)
            except OSError as error:
                skipped.append(Skipped(pair.picture, why(error)))
                continue
            objects = list(_objects(pair, size, mended))
            lone += pair.numbered and len(objects) == 1
            gathered.add(objects, size, worded(Path(pair.picture).relative_to(folder).as_posix()))
            paths.append(pair.picture)
    if not paths:
        first = f", {skipped[0].path} first: {skipped[0].why}" if skipped else ""
        raise DataError(f"{folder} has no pictures with masks{first}")
    if pairs[0].numbered and lone == len(paths):
        notes += (
            "each mask has one number besides 0, so all that is marked in a picture is one object: where objects touch or are "
            "several, give each a number of its own",
        )
    objects_ = Objects(tuple(gathered.truths), (1,))
    return Part(
        Split(Files(tuple(paths)), objects_), (_CLASS,), said, tuple(skipped), (*notes, *mended.notes("mask"))
    )  # fmt: skip


def _pairs(folder: Path) -> tuple[list[_Pair], tuple[str, ...]]:
    if (folder / _IMAGES).is_dir():
        found = look_in(folder / _IMAGES)
        masks = {Path(path).stem: path for path in look_in(folder / _MASKS).images}
        pairs, used = [], set()
        for picture in found.images:
            stem = Path(picture).stem
            own = next((one for one in (stem, f"{stem}_mask", f"{stem}_masks") if one in masks), None)
            used.add(own)
            pairs.append(_Pair(picture, () if own is None else (masks[own],), numbered=True))
        beyond = tuple(path for stem, path in masks.items() if stem not in used)
        return pairs, told(beyond, f"in {_MASKS}/, and no picture is called so")
    pairs = []
    for below in folders_in(folder):
        pictures = look_in(below / _IMAGES).images if (below / _IMAGES).is_dir() else ()
        if len(pictures) != 1:
            raise DataError(
                f"{below} has {plural(len(pictures), 'picture')} in {_IMAGES}/; a folder with {_MASKS}/ has one"
            )
        files = look_in(below / _MASKS).images if (below / _MASKS).is_dir() else ()
        pairs.append(_Pair(pictures[0], files, numbered=False))
    return pairs, ()


def _objects(pair: _Pair, size: tuple[int, int], mended: Mended) -> Iterator[Object]:
    for path in pair.masks:
        values = _values(path, numbered=pair.numbered)
        if values.shape != size:
            raise DataError(
                f"the mask {path} is {values.shape[1]}x{values.shape[0]}, and its picture {size[1]}x{size[0]}"
            )
        numbers = [number for number in np.unique(values).tolist() if number]
        if not numbers and not pair.numbered:
            mended.note("left out, since they have no pixel", Path(path).name)
        yield from (_object(values == number) for number in numbers)


def _object(mask: np.ndarray) -> Object:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
    return Object(box, 1, float(mask.sum()), encoded(mask))


def _values(path: str, *, numbered: bool) -> np.ndarray:
    """The numbers in a mask's file ⟨height, width⟩; or 1 where it is not black. Raises DataError."""
    try:
        with Image.open(path) as picture:
            values: np.ndarray = np.asarray(picture)
    except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
        raise DataError(f"the mask {path} cannot be read: {why(error)}") from None
    if values.ndim == 3:
        if numbered:
            raise DataError(
                f"the mask {path} is in colour; give the pixels of each object one whole number, in grey or a palette"
            )
        values = np.asarray(values[..., :3].any(2) if values.shape[2] > 2 else values[..., 0])
    if values.dtype.kind == "f":
        raise DataError(f"the mask {path} has pixels that are no whole numbers")
    return values if numbered else (values > 0).astype(np.uint8)
