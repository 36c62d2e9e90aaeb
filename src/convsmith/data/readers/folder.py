"""A directory whose sub-folders are the classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from ...errors import DataError
from ..inputs import Files
from ..pictures import SUFFIXES
from ..split import Split
from ..targets import Labels
from .below import MISNAMED, folders_in, images_below, look_below, look_in, told
from .names import worded
from .parts import WHOLE, Part, Parts

__all__ = ["classes_named", "read_classes", "read_folder"]

# What folders of a part are called.
_NAMES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


class ReadClasses(Protocol):
    """What reads a folder of class folders."""

    def __call__(self, path: Path, name: str = "", *, empty: bool = False, notes: tuple[str, ...] = ()) -> Part: ...


def read_folder(path: Path, known: Sequence[str] = (), read: ReadClasses | None = None) -> Parts:
    """The parts of `path`: `train/`, `val/` (or `valid/ validation/`) and `test/`, or all of it where it is not divided.

    They are parts where they hold class folders themselves; a folder of vehicles may well have a class called `train`.
    `known` are the classes of a network that is to be scored: none of them is a part, and a class may be empty. `read` is what
    reads one of them, `read_classes` where nothing else is said.
    """
    read = read or read_classes
    folders = folders_in(path)
    found = {folder.name.lower(): folder for folder in folders if folder.name not in known and folders_in(folder)}
    named = {part: found[name] for part, names in _NAMES.items() for name in reversed(names) if name in found}
    if not named or ("train" not in named and any(look_in(folder).images for folder in folders)):
        return {WHOLE: lambda: read(path, empty=bool(known))}

    def part(name: str, folder: Path) -> Part:
        beside = _beside(path, named) if name == "train" else ()
        return read(folder, f"the folder {folder.name.lower()}/", empty=bool(known), notes=beside)

    return {name: partial(part, name, folder) for name, folder in named.items()}


def read_classes(path: Path, name: str = "", *, empty: bool = False, notes: tuple[str, ...] = ()) -> Part:
    """Every image below the class folders of `path`, class after class, in the order of their names; the part is called `name`.

    A class folder without images is refused, or passed over where it may be `empty`. Images that are left out are noted.
    """
    folders, loose = folders_in(path), look_in(path)
    if not folders:
        what = "images, but no class folders" if loose.images else "no class folders"
        raise DataError(f"{path} holds {what}; put the images of each class into a sub-folder named after it")
    below = [look_below(folder) for folder in folders]
    for folder, found in zip(folders, below, strict=True):
        if not (found.images or empty):
            raise DataError(
                f"class '{worded(folder.name)}' has no images in {folder}; add some or remove the folder "
                f"(images end in {', '.join(SUFFIXES)})"
            )
    classes = classes_named(path, folders)
    labels = np.repeat(np.arange(len(below)), [len(found.images) for found in below]).astype(np.int64)
    inputs = Files(tuple(file for found in below for file in found.images))
    left_out = loose.left_out + tuple(file for found in below for file in found.left_out)
    notes += told(loose.images, f"beside the class folders of {path.name}/ and not in them, so of no class")
    notes += told(left_out, MISNAMED)
    return Part(Split(inputs, Labels(labels)), classes, name, notes=notes)


def classes_named(path: Path, folders: Sequence[Path]) -> tuple[str, ...]:
    """The classes that these folders of `path` are called after. Raises `DataError` where two are called alike."""
    classes = tuple(worded(folder.name) for folder in folders)
    for one, folder in zip(classes, folders, strict=True):
        if classes.count(one) > 1:
            raise DataError(f"two folders of {path} are called '{one}', in two encodings: rename {folder}")
    return classes


def _beside(path: Path, named: dict[str, Path]) -> tuple[str, ...]:
    """What is said of the images that lie beside the parts of `path`, in it or in other folders."""
    notes = told(look_in(path).images, "beside the folders of the parts and in none of them")
    for folder in folders_in(path):
        if folder not in named.values():
            names = " and ".join(f"{part.name}/" for part in named.values())
            notes += told(images_below(folder), f"in {folder.name}/, and the parts are {names}")
    return notes
