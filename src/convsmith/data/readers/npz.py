"""Images in an `.npz` file: one array of pixels, or JPEG files joined end to end."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...firstbytes import disguise_of
from ..inputs import Arrays, Encoded, Inputs
from ..split import Split
from ..targets import Labels

__all__ = ["read_images", "read_npz"]

_IMAGES = ("images", "x", "x_train", "train_images", "data", "arr", "arr_0")
_LABELS = ("labels", "label", "y", "y_train", "train_labels", "targets", "arr_1")
_VAL_IMAGES = ("x_test", "x_val", "val_images", "test_images")
_VAL_LABELS = ("y_test", "y_val", "val_labels", "test_labels")
_CLASSES = ("classes", "class_names")


def read_npz(path: Path) -> tuple[Split, Split | None, tuple[str, ...] | None]:
    """The images, those set apart for validation if there are any, and the names of the classes if it has them."""
    arrays = _arrays(path)
    names = _first(arrays, _CLASSES)
    if {"jpeg", "offset"} <= arrays.keys():
        labels, words = _labels(_needed(arrays, _LABELS, path), path)
        files = _encoded(arrays["jpeg"], arrays["offset"], len(labels), path)
        return Split(files, Labels(labels)), None, words or _names(names, path)

    labels, words = _labels(_needed(arrays, _LABELS, path), path)
    split = Split(_plain(_needed(arrays, _IMAGES, path), len(labels), path), Labels(labels))
    val_images, val_labels = _first(arrays, _VAL_IMAGES), _first(arrays, _VAL_LABELS)
    if val_images is None or val_labels is None:
        return split, None, words or _names(names, path)
    if words is not None:
        raise DataError(f"{path}: with a validation part of its own the labels must be numbers, not names")
    numbers = _labels(val_labels, path)[0]
    val = Split(_plain(val_images, len(numbers), path), Labels(numbers))
    return split, val, _names(names, path)


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


def _names(names: np.ndarray | None, path: Path) -> tuple[str, ...] | None:
    if names is None:
        return None
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DataError(f"{path}: the class names must be a list of strings, not {names.dtype} of shape {names.shape}")
    texts = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names.tolist())
    if len(set(texts)) < len(texts):
        raise DataError(f"{path}: two classes have the same name")
    return texts


def _labels(labels: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[str, ...] | None]:
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
    return labels.astype(np.int64), None


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
        raise DataError(f"{path} has {images} images and {labels} labels; it must have as many of each")
