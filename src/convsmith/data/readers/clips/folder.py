"""A directory whose sub-folders are the classes, with films in them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ....errors import DataError
from ...films import FILMS, is_film
from ...inputs import Films
from ...split import Split
from ...targets import Labels
from ..below import folders_in, is_image, walked
from ..folder import classes_named
from ..parts import Part
from .groups import groups_of

__all__ = ["holds_films", "read_films"]


def holds_films(path: Path) -> bool:
    """Whether the first file in the folders of `path` that is a film or an image is a film."""
    for folder in folders_in(path):
        for parent, _, names in walked(folder):
            for name in sorted(names):
                if is_film(name):
                    return True
                if is_image(os.path.join(parent, name)):
                    return False
    return False


def read_films(path: Path, name: str = "", *, empty: bool = False, notes: tuple[str, ...] = ()) -> Part:
    """Every film below the class folders of `path`, class after class, in the order of their names; the part is called `name`.

    A class folder without films is refused, or passed over where it may be `empty`.
    """
    folders = folders_in(path)
    if not folders:
        raise DataError(f"{path} holds no class folders; put the films of each class into a sub-folder named after it")
    below = [_films_below(folder) for folder in folders]
    classes = classes_named(path, folders)
    for one, folder, films in zip(classes, folders, below, strict=True):
        if not (films or empty):
            raise DataError(
                f"class '{one}' has no films in {folder}; add some or remove the folder (films end in {', '.join(FILMS)})"
            )
    paths = tuple(film for films in below for film in films)
    labels = np.repeat(np.arange(len(below)), [len(films) for films in below]).astype(np.int64)
    return Part(Split(Films(paths), Labels(labels), groups_of(paths)), classes, name, notes=notes)


def _films_below(folder: Path) -> list[str]:
    return [
        os.path.join(parent, name)
        for parent, _, names in walked(folder)
        for name in sorted(names)
        if is_film(name) and not name.startswith(".")
    ]
