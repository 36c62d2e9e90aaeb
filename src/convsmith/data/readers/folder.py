"""A directory whose sub-folders are the classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..inputs import Files
from ..pictures import SUFFIXES
from ..split import Split
from ..targets import Labels
from .parts import WHOLE, Part, Parts

__all__ = ["images_below", "read_classes", "read_folder"]

# What folders of a part are called.
_NAMES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


def read_folder(path: Path, known: Sequence[str] = ()) -> Parts:
    """The parts of `path`: `train/`, `val/` (or `valid/ validation/`) and `test/`, or all of it where it is not divided.

    They are parts where they hold class folders themselves; a folder of vehicles may well have a class called `train`.
    `known` are the classes of a network that is to be scored: none of them is a part, and a class may be empty.
    """
    folders = _folders(path)
    found = {folder.name.lower(): folder for folder in folders if folder.name not in known and _folders(folder)}
    named = {part: found[name] for part, names in _NAMES.items() for name in reversed(names) if name in found}
    if not named or ("train" not in named and any(map(_has_images, folders))):
        return {WHOLE: lambda: Part(*read_classes(path, empty=bool(known)))}

    def part(folder: Path) -> Part:
        return Part(*read_classes(folder, empty=bool(known)), f"the folder {folder.name.lower()}/")

    return {name: partial(part, folder) for name, folder in named.items()}


def read_classes(path: Path, *, empty: bool = False) -> tuple[Split, tuple[str, ...]]:
    """Every image below the class folders of `path`, class after class, in the order of their names.

    A class folder without images is refused, or passed over where it may be `empty`.
    """
    folders = _folders(path)
    if not folders:
        what = "images, but no class folders" if _has_images(path) else "no class folders"
        raise DataError(f"{path} holds {what}; put the images of each class into a sub-folder named after it")
    files = [images_below(folder) for folder in folders]
    for folder, found in zip(folders, files, strict=True):
        if not (found or empty):
            raise DataError(
                f"class '{folder.name}' has no images in {folder}; add some or remove the folder "
                f"(images end in {', '.join(SUFFIXES)})"
            )
    labels = np.repeat(np.arange(len(files)), [len(found) for found in files]).astype(np.int64)
    inputs = Files(tuple(file for found in files for file in found))
    return Split(inputs, Labels(labels)), tuple(folder.name for folder in folders)


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not _hidden(entry.name))


def _has_images(path: Path) -> bool:
    return any(_is_image(entry.name) for entry in path.iterdir())


def images_below(folder: Path) -> list[str]:
    """The images in a folder and all below it, in an order that is the same everywhere."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        found += [os.path.join(parent, name) for name in sorted(names) if _is_image(name)]
    return found


def _is_image(name: str) -> bool:
    return not _hidden(name) and os.path.splitext(name)[1].lower() in SUFFIXES


def _hidden(name: str) -> bool:
    return name.startswith((".", "__"))
