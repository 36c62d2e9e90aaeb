"""A directory whose sub-folders are the classes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import DataError, nearest
from .pictures import SUFFIXES
from .split import FileSplit, Split

__all__ = ["images_below", "read_classes", "read_folder", "renumbered"]

S = TypeVar("S", bound=Split)

_VAL_NAMES = ("val", "valid", "validation", "test")


def read_folder(path: Path) -> tuple[FileSplit, FileSplit | None, tuple[str, ...], str]:
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


def read_classes(path: Path) -> tuple[FileSplit, tuple[str, ...]]:
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
    return FileSplit(labels, tuple(file for found in files for file in found)), tuple(f.name for f in folders)


def renumbered(val: S, names: tuple[str, ...], classes: tuple[str, ...], where: str) -> S:
    """`val`, whose labels count through `names`, with labels that count through `classes`."""
    if len(val) and val.labels.max() >= len(names):
        raise DataError(f"{where} has a label {val.labels.max()} but names only {len(names)} classes")
    for name in names:
        if name not in classes:
            raise DataError(
                f"class '{name}' of {where} is not among the {len(classes)} training classes{nearest(name, classes)}"
            )
    return replace(val, labels=np.array([classes.index(name) for name in names], np.int64)[val.labels])


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
