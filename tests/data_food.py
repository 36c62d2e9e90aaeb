"""Tiny image folders and arrays for the tests of data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from convsmith.data import Arrays, Files, Labels, Split


def noise(*shape: int, seed: int | list[int] = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_classes(folder: Path, counts: dict[str, int], *, side: int = 9, suffix: str = ".png") -> Path:
    """A class-per-folder directory with `counts[name]` images of `side` and `side + index` pixels for each class, no two alike."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(noise(side, side + i, 3, seed=[*name.encode(), i])).save(folder / name / f"{i:03}{suffix}")
    return folder


def array_split(n: int = 20, *, side: int = 8, channels: int = 3, classes: int = 2) -> Split:
    return labelled(noise(n, side, side, channels), np.arange(n, dtype=np.int64) % classes)


def labelled(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(Arrays(images), Labels(labels))


def file_split(paths: tuple[str, ...], labels: np.ndarray) -> Split:
    return Split(Files(paths), Labels(labels))
