"""Image files in a folder and below it, behind links too; and those that are left out, so that it can be said."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...firstbytes import begins_as_image
from ..oddities import brief
from ..pictures import SUFFIXES

__all__ = ["MISNAMED", "Below", "folders_in", "images_below", "is_image", "look_below", "look_in", "told", "walked"]

# What systems leave in folders: it holds no images of the user's, or small copies of them.
_SYSTEM = ("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
MISNAMED = "hidden, or are not called as images are (.jpg, .png and such; or no ending)"


@dataclass(frozen=True)
class Below:
    """Images in an order that is the same everywhere, and the images that are left out for their names."""

    images: tuple[str, ...]
    left_out: tuple[str, ...]

    def notes(self) -> tuple[str, ...]:
        """What is to be said of those that are left out."""
        return told(self.left_out, MISNAMED)


def look_below(folder: Path) -> Below:
    """The images in a folder and all below it. A folder behind a link is looked into once, so that no circle has no end."""
    images: list[str] = []
    left_out: list[str] = []
    for parent, hidden, names in walked(folder):
        here = _sorted_out(parent, names)
        images += here.images
        left_out += here.left_out
        left_out += (path for name in hidden for path in _images_named(os.path.join(parent, name)))
    return Below(tuple(images), tuple(left_out))


def walked(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """A folder and all below it, in the order of their names: each with the hidden folders in it, which are not entered, and the
    names of its files. A folder behind a link is entered once."""
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        place = os.stat(parent)
        if (place.st_dev, place.st_ino) in seen:
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        yield parent, [name for name in folders if _hidden(name)], names
        folders[:] = sorted(name for name in folders if not _hidden(name) and name not in _SYSTEM)


def look_in(folder: Path) -> Below:
    """The images that lie in a folder itself."""
    return _sorted_out(str(folder), [entry.name for entry in os.scandir(folder) if not entry.is_dir()])


def images_below(folder: Path) -> list[str]:
    """The images in a folder and all below it."""
    return list(look_below(folder).images)


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, in the order of their names, without hidden ones and those of the system."""
    found = (entry for entry in folder.iterdir() if not _hidden(entry.name) and entry.name not in _SYSTEM)
    return sorted(entry for entry in found if entry.is_dir())


def told(files: Sequence[str], where: str) -> tuple[str, ...]:
    """What is said of images that are left out since they lie `where`; nothing where there are none."""
    if not files:
        return ()
    return (
        f"{len(files)} {'image is' if len(files) == 1 else 'images are'} left out, {brief(files[0])} first: they lie {where}",
    )


def is_image(path: str) -> bool:
    """Whether a file is an image by its name, or by its first bytes where its name has no ending."""
    return _ends(path) or (not os.path.splitext(path)[1] and begins_as_image(path))


def _sorted_out(parent: str, names: Sequence[str]) -> Below:
    images, left_out = [], []
    for name in sorted(names):
        path = os.path.join(parent, name)
        if name.startswith("._"):  # what macOS writes beside each file
            continue
        if not _hidden(name) and is_image(path):
            images.append(path)
        elif _ends(name) or begins_as_image(path):
            left_out.append(path)
    return Below(tuple(images), tuple(left_out))


def _images_named(folder: str) -> Iterator[str]:
    """The files below a hidden folder that are called as images are."""
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in sorted(names) if not name.startswith("._") and _ends(name))


def _ends(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _hidden(name: str) -> bool:
    return name.startswith(".")
