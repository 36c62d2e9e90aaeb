"""YOLO's text files: a line an object, its class and then its box, or the corners of its outline, as shares of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import DataError
from ....rle import area_of, from_string
from ...images import Skipped
from ...inputs import Files
from ...pictures import measured, unwarned, why
from ...split import Split
from ...targets import Objects
from ..below import folders_in, look_below
from ..names import listed, worded
from ..parts import PARTS, WHOLE, Part, Parts
from .gathered import Gathered, Mended, Object
from .outlines import outlined

__all__ = ["read_yolo", "yolo_in"]

_IMAGES, _LABELS = "images", "labels"
_FILES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
# How far outside of the picture a share may lie, which files round.
_BEYOND = 0.01


def yolo_in(folder: Path) -> bool:
    """Whether labels lie in a folder as YOLO has them: a data.yaml with names, or images/ and labels/."""
    if _file(folder) is not None:
        return True
    return (folder / _IMAGES).is_dir() and (folder / _LABELS).is_dir()


def read_yolo(folder: Path) -> Parts:
    """The parts that data.yaml names; without one those of images/ (train/, val/, test/), or all of it, and the names of
    classes.txt.

    The labels of images/a/b.jpg are in labels/a/b.txt. A line is `class x y width height`, the middle and the sides of a box,
    or `class x y x y x y ...`, the corners of an outline, all shares of the picture's sides as it stands upright; classes count
    from 0. A picture without a file, or with an empty one, has no objects. A line that is there twice counts once.

    Raises:
        DataError: no names, a class beyond them, a line that is neither, or outlines of some objects only.
    """
    path = _file(folder)
    said = {} if path is None else _yaml(path)
    names = _names(folder, said, path)
    places: dict[str, list[Path]] = {}
    for part in PARTS:
        given = said.get(part) or (said.get("valid") if part == "val" else None)
        if given:
            places[part] = [
                _place(folder, said, str(one), path) for one in (given if isinstance(given, list) else [given])
            ]
    if not places:
        found = {one.name.lower(): one for one in folders_in(folder / _IMAGES)} if (folder / _IMAGES).is_dir() else {}
        aliases = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
        places = {
            part: [found[name]] for part, own in aliases.items() for name in own if name in found
        } or {WHOLE: [folder / _IMAGES]}  # fmt: skip
        if "train" not in places:
            places = {WHOLE: [folder / _IMAGES]}
    return {
        part: partial(_part, own, names, "" if part in (WHOLE, "train") else f"the part {part} of {folder.name}")
        for part, own in places.items()
    }


def _part(places: list[Path], names: tuple[str, ...], said: str) -> Part:
    pictures = [path for place in places for path in _pictures(place)]
    if not pictures:
        raise DataError(f"there are no images in {', '.join(map(str, places))}")
    mended, skipped = Mended(), []
    rows: list[tuple[str, tuple[int, int], list[tuple[int, np.ndarray]]]] = []
    with unwarned():
        for picture in pictures:
            try:
                size = measured(picture)
            except OSError as error:
                skipped.append(Skipped(picture, why(error)))
                continue
            rows.append((picture, size, _lines(_labels_of(picture), len(names), mended)))
    shapes = [len(values) == 4 for _, _, own in rows for _, values in own]
    if any(shapes) and not all(shapes):
        lone = next(path for path, _, own in rows if any(len(values) == 4 for _, values in own))
        raise DataError(
            f"{_labels_of(lone)} has a box, and other lines have outlines: give all objects one or the other"
        )
    if not shapes:
        raise DataError(
            f"not one object is labelled: {_labels_of(pictures[0])} is where those of the first picture should be"
        )
    gathered = Gathered(masked=not any(shapes))
    for picture, size, own in rows:
        read = (_object(label, values, size, Path(picture).name, mended) for label, values in own)
        gathered.add((one for one in read if one is not None), size, worded("/".join(Path(picture).parts[-2:])))
    targets = Objects(tuple(gathered.truths), tuple(range(len(names))))
    inputs = Files(tuple(path for path, _, _ in rows))
    return Part(Split(inputs, targets), names, said, tuple(skipped), mended.notes("line"))


def _lines(path: Path, classes: int, mended: Mended) -> list[tuple[int, np.ndarray]]:
    """The class from 0, and the numbers after it, of each line."""
    if not path.is_file():
        return []
    found: dict[tuple[float, ...], tuple[int, np.ndarray]] = {}
    for k, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines()):
        where = f"{path}, line {k + 1}"
        if not line.strip():
            continue
        try:
            values = np.array(line.split(), np.float64)
        except ValueError:
            raise DataError(
                f"{where} is '{line.strip()[:60]}'; give numbers: a class, then a box or an outline"
            ) from None
        if not (len(values) == 5 or (len(values) >= 7 and len(values) % 2)):
            raise DataError(
                f"{where} has {len(values)} numbers; a box is class x y width height, an outline class and three corners or more"
            )
        label, own = values[0], values[1:]
        if label != int(label) or not 0 <= label < classes:
            raise DataError(f"{where} is of class {label:g}, and the names are of 0 to {classes - 1}")
        if not ((own >= -_BEYOND) & (own <= 1 + _BEYOND)).all():
            raise DataError(
                f"{where} has {own[np.argmax(abs(own - 0.5))]:g}; places are shares of the picture, from 0 to 1"
            )
        key = tuple(values.tolist())
        if key in found:
            mended.note("left out, since they are there twice", f"{path.name}, line {k + 1}")
        found[key] = int(label), own
    return list(found.values())


def _object(label: int, values: np.ndarray, size: tuple[int, int], where: str, mended: Mended) -> Object | None:
    height, width = size
    rle = None
    if len(values) == 4:
        (x, y), (w, h) = values[:2] * (width, height), values[2:] * (width, height)
        box = x - w / 2, y - h / 2, x + w / 2, y + h / 2
    else:
        corners = values.reshape(-1, 2) * (width, height)
        (x1, y1), (x2, y2) = corners.min(0), corners.max(0)
        box = x1, y1, x2, y2
        rle = outlined([corners.reshape(-1).tolist()], size)
    area = (box[2] - box[0]) * (box[3] - box[1]) if rle is None else area_of(from_string(rle))
    if box[2] <= box[0] or box[3] <= box[1] or not area:
        mended.note("left out, since they have no width, height or pixel", where)
        return None
    x1, y1, x2, y2 = map(float, box)
    return Object((x1, y1, x2, y2), label + 1, float(area), rle)


def _pictures(place: Path) -> list[str]:
    """The pictures of a folder, or of a text file that lists them."""
    if place.is_dir():
        return list(look_below(place).images)
    lines = place.read_text(encoding="utf-8", errors="replace").splitlines()
    return [str((place.parent / line.strip()).resolve()) for line in lines if line.strip()]


def _labels_of(picture: str) -> Path:
    """Where the labels of a picture are: in labels/ instead of the last images/ of its path, else beside it."""
    parts = list(Path(picture).parts)
    at = next((k for k in reversed(range(len(parts))) if parts[k] == _IMAGES), None)
    if at is not None:
        parts[at] = _LABELS
    return Path(*parts).with_suffix(".txt")


def _file(folder: Path) -> Path | None:
    """The YAML file that names classes."""
    for path in (folder / name for name in _FILES):
        if path.is_file() and "names" in _yaml(path):
            return path
    return None


def _yaml(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read as YAML: {error}") from error
    return found if isinstance(found, dict) else {}


def _names(folder: Path, said: Mapping[str, Any], path: Path | None) -> tuple[str, ...]:
    found = said.get("names")
    if isinstance(found, dict):
        if sorted(found) != list(range(len(found))):
            raise DataError(
                f"{path}: names are numbered {listed([str(one) for one in sorted(found)])}; number them from 0"
            )
        found = [found[k] for k in range(len(found))]
    if found is None:
        text = folder / "classes.txt"
        if not text.is_file():
            raise DataError(
                f"{folder} has images/ and labels/, and nothing says what the classes are: write names into data.yaml"
            )
        found = [line.strip() for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not isinstance(found, list) or not found:
        raise DataError(f"{path}: names is {str(found)[:60]}; give a list of the classes")
    names = tuple(worded(str(one)) for one in found)
    for one in names:
        if names.count(one) > 1:
            raise DataError(f"{path or folder} has two classes called '{one}'")
    return names


def _place(folder: Path, said: Mapping[str, Any], given: str, path: Path | None) -> Path:
    """The folder or list of a part, as data.yaml names it: below its `path`, or below where it lies itself."""
    roots = [folder / str(said["path"]), folder] if said.get("path") else [folder]
    tried = [root / one for root in roots for one in (given, given.removeprefix("../"), f"{given}/{_IMAGES}")]
    found = next((one for one in tried if one.exists()), None)
    if found is None:
        raise DataError(
            f"{path} names the images {given}, and there are none: neither {tried[0]} nor {tried[-3]} is there"
        )
    return found
