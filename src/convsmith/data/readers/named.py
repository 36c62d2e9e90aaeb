"""Data sets known by name: `digits`, which needs no files, and those that torchvision can read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..inputs import Arrays, Files
from ..split import Split
from ..targets import Labels

__all__ = ["TORCHVISION_SETS", "read_digits", "read_torchvision"]

TORCHVISION_SETS = ("cifar10", "cifar100", "flowers102", "oxfordiiitpet", "food101", "fgvcaircraft", "stanfordcars")


def read_digits() -> tuple[Split, tuple[str, ...]]:
    """The 1,797 handwritten digits that come inside scikit-learn: 8x8, grey, 17 levels (Alpaydin & Kaynak, 1998)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return Split(Arrays(images), Labels(digits.target.astype(np.int64))), tuple(
        str(name) for name in digits.target_names
    )


def read_torchvision(name: str, root: Path | None, download: bool) -> tuple[Split, Split, tuple[str, ...], str]:
    """Training images, validation images, classes, and which published part was taken for validation."""
    if root is None:
        raise DataError(
            f"'{name}' is read from a folder: say with --root DIR where it lies"
            + (" or is to be put" if download else ", or allow --download as well")
        )
    # Parts as the set's authors published them; where they set aside a validation part, the test part is left alone.
    parts = {
        "flowers102": ("train", "val"),
        "fgvcaircraft": ("train", "val"),
        "oxfordiiitpet": ("trainval", "test"),
    }
    first, second = parts.get(name, ("train", "test"))
    try:
        train, classes = _part(name, root, first, download)
        val, _ = _part(name, root, second, download)
    except (RuntimeError, ValueError, OSError, KeyError, EOFError) as error:
        raise DataError(
            f"'{name}' cannot be read from {root} ({error}); give --root DIR where it lies"
            + ("" if download else ", or allow --download")
        ) from error
    return train, val, classes, second


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
