"""Data sets known by name: `digits`, which needs no files, and those that torchvision can read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..inputs import Arrays, Files
from ..split import Split
from ..targets import Labels
from .parts import Part, Parts

__all__ = ["TORCHVISION_SETS", "read_digits", "read_torchvision"]

TORCHVISION_SETS = ("cifar10", "cifar100", "flowers102", "oxfordiiitpet", "food101", "fgvcaircraft", "stanfordcars")


def read_digits() -> Part:
    """The 1,797 handwritten digits that come inside scikit-learn: 8x8, grey, 17 levels (Alpaydin & Kaynak, 1998)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    names = tuple(str(name) for name in digits.target_names)
    return Part(Split(Arrays(images), Labels(digits.target.astype(np.int64))), names)


def read_torchvision(name: str, root: Path | None, download: bool) -> Parts:
    """The parts of a set as its authors published them."""
    if root is None:
        raise DataError(
            f"'{name}' is read from a folder: say with --root DIR where it lies"
            + (" or is to be put" if download else ", or allow --download as well")
        )
    published = {
        "flowers102": {"train": "train", "val": "val", "test": "test"},
        "fgvcaircraft": {"train": "train", "val": "val", "test": "test"},
        "oxfordiiitpet": {"train": "trainval", "test": "test"},
    }.get(name, {"train": "train", "test": "test"})

    def part(own: str) -> Part:
        try:
            return Part(*_part(name, root, own, download), f"the set's own part '{own}'")
        except (RuntimeError, ValueError, OSError, KeyError, EOFError) as error:
            raise DataError(
                f"'{name}' cannot be read from {root} ({error}); give --root DIR where it lies"
                + ("" if download else ", or allow --download")
            ) from error

    return {one: partial(part, own) for one, own in published.items()}


def _part(name: str, root: Path, part: str, download: bool) -> tuple[Split, tuple[str, ...]]:
    from torchvision import datasets

    match name:
        case "cifar10" | "cifar100":
            kind = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
            cifar = kind(root, part == "train", download=download)
            return Split(Arrays(cifar.data), Labels(np.array(cifar.targets, np.int64))), tuple(cifar.classes)
        case "oxfordiiitpet":  # the only one of them that takes no loader, so its lists are read directly
            pet = datasets.OxfordIIITPet(root, part, download=download)
            return _files(list(zip(pet._images, pet._labels, strict=True))), tuple(pet.classes)
        case "flowers102":
            flowers = datasets.Flowers102(root, part, download=download, loader=str)
            return _files(flowers), tuple(flowers.classes)
        case "food101":
            food = datasets.Food101(root, part, download=download, loader=str)
            return _files(food), tuple(food.classes)
        case "fgvcaircraft":
            aircraft = datasets.FGVCAircraft(root, part, download=download, loader=str)
            return _files(aircraft), tuple(aircraft.classes)
        case "stanfordcars":
            cars = datasets.StanfordCars(root, part, download=download, loader=str)
            return _files(cars), tuple(cars.classes)
    raise AssertionError(name)


def _files(pairs: Sequence[tuple[object, int]]) -> Split:
    """From (path, label) pairs: what these sets yield when their loader is `str`, which leaves the image on disk."""
    rows = [pairs[i] for i in range(len(pairs))]
    inputs = Files(tuple(str(path) for path, _ in rows))
    return Split(inputs, Labels(np.array([label for _, label in rows], np.int64)))
