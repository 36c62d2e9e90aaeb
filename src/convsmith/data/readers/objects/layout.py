"""Which objects lie in a folder or a file, and in which parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ....errors import DataError
from ..cocofile import CocoFile
from ..parts import WHOLE, Part, Parts
from .coco import read_objects
from .masks import is_masked, read_masks
from .yolo import read_yolo, yolo_in

__all__ = ["objects_at"]

# What the files and folders of a part are called.
_NAMES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_ROBOFLOW = "_annotations.coco.json"
_HEAD = 2**16


def objects_at(path: Path, category: str | None, task: str | None) -> Parts | None:
    """The parts of data with objects: COCO's JSON, masks beside pictures, YOLO's text; None of other data.

    A file with key points has poses, and none of it is read here unless `task` is "detect".

    Raises:
        DataError: a file or folder of objects that cannot be read.
    """
    if path.is_file():
        return _one(path, category, task) if path.suffix.lower() == ".json" else None
    if not path.is_dir():  # a pipe, a device
        return None
    files = _files(path)
    if files:
        said = {part: "" if part == "train" else f"{file.parent.name}/{file.name}" for part, file in files.items()}
        return {part: _later(file, category, said[part]) for part, file in files.items()}
    for name in ("annotations.json", "instances.json", _ROBOFLOW):
        if (path / name).is_file() and _begins_as_coco(path / name):
            return _one(path / name, category, task)
    parts = _mask_parts(path)
    if parts is None and yolo_in(path):
        parts = read_yolo(path)
    if parts is not None and category is not None:
        raise DataError(f"--category chooses one of COCO's categories, and {path} has none")
    return parts


def _one(path: Path, category: str | None, task: str | None) -> Parts | None:
    """A file that is not divided, where it is of objects."""
    file = CocoFile.at(path)
    if file.has_points and task != "detect":
        return None
    return {WHOLE: partial(read_objects, file, category)}


def _later(path: Path, category: str | None, said: str) -> Callable[[], Part]:
    return lambda: read_objects(CocoFile.at(path), category, said)


def _files(folder: Path) -> dict[str, Path]:
    """The file of each part, where there is one to train on and another one: train.json and val.json, there or in annotations/;
    annotations/instances_train2017.json and its like; or train/_annotations.coco.json."""
    for place in (folder, folder / "annotations"):
        found = {}
        for part, names in _NAMES.items():
            tried = [place / f"{name}.json" for name in names] + [
                one for name in names for one in sorted(place.glob(f"instances_{name}*.json"))
            ]
            own = next((one for one in tried if one.is_file() and _begins_as_coco(one)), None)
            if own is not None:
                found[part] = own
        if "train" in found and len(found) > 1:
            return found
    beside = {
        part: folder / name / _ROBOFLOW for part, names in _NAMES.items() for name in reversed(names)
        if (folder / name / _ROBOFLOW).is_file()
    }  # fmt: skip
    return beside if "train" in beside and len(beside) > 1 else {}


def _mask_parts(folder: Path) -> Parts | None:
    """The parts of a folder of pictures with masks: its folders train/ and val/, or all of it."""
    named = {
        part: folder / name for part, names in _NAMES.items() for name in reversed(names) if (folder / name).is_dir()
    }
    if "train" in named and is_masked(named["train"]):
        return {part: partial(read_masks, own, f"the folder {own.name}/") for part, own in named.items()}
    return {WHOLE: partial(read_masks, folder)} if is_masked(folder) else None


def _begins_as_coco(path: Path) -> bool:
    """Whether a file names a list of COCO's near its beginning."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.lstrip()[:1] == b"{" and any(
        f'"{key}"'.encode() in head for key in ("images", "annotations", "categories")
    )
