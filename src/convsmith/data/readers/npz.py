"""Images in an `.npz` file: one array of pixels, or JPEG files joined end to end."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...firstbytes import disguise_of
from ...units import plural
from ..inputs import Arrays, Encoded, Inputs
from ..split import Split
from ..targets import Labels
from .names import worded
from .parts import WHOLE, Part, Parts

__all__ = ["read_images", "read_npz"]

_IMAGES = ("images", "x", "x_train", "train_images", "data", "arr", "arr_0")
_LABELS = ("labels", "label", "y", "y_train", "train_labels", "targets", "arr_1")
# Of a part that stands apart: what its images may be called, and its labels beside each.
_APART = {
    "val": (("x_val", "val_images"), ("y_val", "val_labels")),
    "test": (("x_test", "test_images"), ("y_test", "test_labels")),
}
_CALLED = {"val": "validation", "test": "test"}
_CLASSES = ("classes", "class_names")


def read_npz(path: Path) -> Parts:
    """The parts of a file whose arrays say which part they are of, as `x_val` and `y_val` do; otherwise all of it."""
    arrays = _arrays(path)
    names = _names(_first(arrays, _CLASSES), path)
    apart = {name: pair for name, keys in _APART.items() if (pair := _pair(arrays, *keys, path)) is not None}

    def part(name: str) -> Part:
        images, given = apart[name]
        numbers = _labels(given, path)[0]
        split = Split(_plain(images, len(numbers), path), Labels(numbers))
        return Part(split, names, f"the {_CALLED[name]} arrays of the file")

    beside: Parts = {name: partial(part, name) for name in apart}
    if apart and _first(arrays, _LABELS) is None:
        return beside
    labels, words = _labels(_needed(arrays, _LABELS, path), path)
    if words and apart:
        raise DataError(f"{path}: with a validation part of its own the labels must be numbers, not names")
    if {"jpeg", "offset"} <= arrays.keys():
        inputs: Inputs = _encoded(arrays["jpeg"], arrays["offset"], len(labels), path)
    else:
        inputs = _plain(_needed(arrays, _IMAGES, path), len(labels), path)
    rest = Part(Split(inputs, Labels(labels)), words or names)
    return {"train": lambda: rest, **beside} if apart else {WHOLE: lambda: rest}


def _pair(
    arrays: Mapping[str, np.ndarray], images: tuple[str, ...], labels: tuple[str, ...], path: Path
) -> tuple[np.ndarray, np.ndarray] | None:
    """The images of a part and their labels, each under its own name or its own other name; None where there are neither."""
    found = [(one, two) for one, two in zip(images, labels, strict=True) if one in arrays or two in arrays]
    for one, two in found:
        if one not in arrays or two not in arrays:
            has, lacks = (one, two) if one in arrays else (two, one)
            raise DataError(f"{path} has '{has}' without '{lacks}': images and their labels go together")
    return (arrays[found[0][0]], arrays[found[0][1]]) if found else None


def read_images(path: Path) -> Inputs:
    """The images alone, whether it has labels or none."""
    arrays = _arrays(path)
    if {"jpeg", "offset"} <= arrays.keys():
        return _encoded(arrays["jpeg"], arrays["offset"], max(len(arrays["offset"]) - 1, 0), path)
    images = _needed(arrays, _IMAGES, path)
    return _plain(images, len(images), path)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if what := disguise_of(path, "zip"):
        raise DataError(f"{path} is {what}")
    try:
        with path.open("rb") as file:  # given a path, NumPy would leave a damaged file open
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                raise DataError(f"{path} holds one bare array; save images and labels together with numpy.savez")
            return {name.lower(): loaded[name] for name in loaded.files}
    except ValueError as error:
        if "pickle" not in str(error):
            raise DataError(f"{path} cannot be read as an .npz file: {error}") from error
        raise DataError(
            f"{path} holds Python objects, which are never loaded because a file could run code through them; "
            "save plain arrays: images of one size as uint8, labels as integers"
        ) from error
    except (EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read as an .npz file: it is damaged, or was cut short ({error}). Copy or download it again"
        ) from error
    except (OSError, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read as an .npz file: {error}") from error


def _first(arrays: Mapping[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _needed(arrays: Mapping[str, np.ndarray], names: tuple[str, ...], path: Path) -> np.ndarray:
    found = _first(arrays, names)
    if found is None:
        raise DataError(
            f"{path} has no array '{names[0]}' (or {', '.join(names[1:])}); it has {', '.join(arrays) or 'none'}"
        )
    return found


def _names(names: np.ndarray | None, path: Path) -> tuple[str, ...]:
    """Empty where there are none."""
    if names is None:
        return ()
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DataError(f"{path}: the class names must be a list of strings, not {names.dtype} of shape {names.shape}")
    texts = tuple(worded(name) for name in names.tolist())
    if len(set(texts)) < len(texts):
        raise DataError(f"{path}: two classes have the same name")
    return texts


def _labels(labels: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as int64 class numbers; with the names, sorted, where they were given as words."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        hint = ": labels.argmax(1), where a row has its 1 at the class" if labels.ndim == 2 else ""
        raise DataError(f"{path}: labels have shape {labels.shape}; give one class number per image{hint}")
    if labels.dtype.kind in "US":
        words, numbers = np.unique(labels, return_inverse=True)
        return numbers.astype(np.int64), _names(words, path)
    if labels.dtype.kind not in "iufb" or not (whole := np.isfinite(labels) & (labels == np.round(labels))).all():
        odd = labels[~whole][0] if labels.dtype.kind in "iufb" else labels.dtype
        raise DataError(f"{path}: label {odd} is not a whole number; number the classes from 0")
    if len(labels) and labels.min() < 0:
        at = int(labels.argmin())
        raise DataError(f"{path}: the label of image {at} is {labels[at]}; number the classes from 0")
    return labels.astype(np.int64), ()


def _plain(images: np.ndarray, labels: int, path: Path) -> Arrays:
    if images.ndim == 3:
        images = images[..., None]
    elif images.ndim == 4 and images.shape[3] not in (1, 3) and images.shape[1] in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape[1:]:
        raise DataError(
            f"{path}: images have shape {images.shape}; give (n, height, width), (n, height, width, channels) or "
            "(n, channels, height, width) with 1 or 3 channels"
        )
    _same_length(len(images), labels, path)
    return Arrays(np.ascontiguousarray(_bytes(images, path)))


def _bytes(images: np.ndarray, path: Path) -> np.ndarray:
    if images.dtype == np.uint8 or images.size == 0:
        return images.astype(np.uint8, copy=False)
    kind = images.dtype.kind
    if kind not in "iufb":
        raise DataError(f"{path}: images are {images.dtype}; give uint8, or floats from 0 to 1")
    if kind == "f" and not (finite := np.isfinite(images).all(axis=(1, 2, 3))).all():
        raise DataError(f"{path}: image {int(np.flatnonzero(~finite)[0])} has pixels that are NaN or infinite")
    least, most = images.min(), images.max()
    if least < 0 or most > (1 if kind in "fb" else 255):
        white = f": images / {most}, if that is white" if least >= 0 else ""
        raise DataError(
            f"{path}: pixels go from {least} to {most}; give integers from 0 to 255, or floats from 0 to 1{white}"
        )
    return images.astype(np.uint8) if kind in "iu" else np.rint(images * 255.0).astype(np.uint8)


def _encoded(jpeg: np.ndarray, offset: np.ndarray, labels: int, path: Path) -> Encoded:
    if jpeg.dtype != np.uint8 or jpeg.ndim != 1:
        raise DataError(f"{path}: 'jpeg' must be the joined files as one row of uint8, not {jpeg.dtype} {jpeg.shape}")
    if offset.ndim != 1 or offset.dtype.kind not in "iu" or len(offset) == 0:
        raise DataError(f"{path}: 'offset' must be one row of n + 1 integers")
    offset = offset.astype(np.int64)
    if offset[0] < 0 or offset[-1] > len(jpeg) or (np.diff(offset) < 0).any():
        raise DataError(f"{path}: 'offset' must rise from 0 to the {len(jpeg)} bytes of 'jpeg'")
    _same_length(len(offset) - 1, labels, path)
    return Encoded(jpeg, offset[:-1], offset[1:])


def _same_length(images: int, labels: int, path: Path) -> None:
    if images != labels:
        raise DataError(
            f"{path} has {plural(images, 'image')} and {plural(labels, 'label')}; it must have as many of each"
        )
