"""A directory whose sub-folders are the classes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..inputs import Files
from ..pictures import SUFFIXES
from ..split import Split
from ..targets import Labels
from .names import renumbered

__all__ = ["images_below", "read_classes", "read_folder"]

_VAL_NAMES = ("val", "valid", "validation", "test")


def read_folder(path: Path) -> tuple[Split, Split | None, tuple[str, ...], str]:
    """The images under `path`, its own validation images if it has them, the classes, and the validation folder's name.

    `train/` and one of `val/ valid/ validation/ test/` are parts where they hold class folders themselves; a folder of
    vehicles may well have a class called `train`.
    """
    parts = {folder.name.lower(): folder for folder in _folders(path) if _folders(folder)}
    if "train" not in parts:
        lone = next((name for name in _VAL_NAMES if name in parts), None)
        if lone is not None and not any(_has_images(folder) for folder in _folders(path)):
            raise DataError(f"{path} has a folder '{lone}' with classes but no 'train' beside it")
        split, classes = read_classes(path)
        return split, None, classes, ""
    train, classes = read_classes(parts["train"])
    for name in _VAL_NAMES:
        if name in parts:
            val, val_classes = read_classes(parts[name])
            return train, renumbered(val, val_classes, classes, str(parts[name])), classes, name
    return train, None, classes, ""


def read_classes(path: Path) -> tuple[Split, tuple[str, ...]]:
    """Every image below the class folders of `path`, class after class, in the order of their names."""
    folders = _folders(path)
    if not folders:
        what = "images, but no class folders" if _has_images(path) else "no class folders"
        raise DataError(f"{path} holds {what}; put the images of each class into a sub-folder named after it")
    files = [images_below(folder) for folder in folders]
    for folder, found in zip(folders, files, strict=True):
        if not found:
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
