"""Images without labels, as a user hands them over: files, folders, patterns, pictures, arrays."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import DataError
from .inputs import as_channels
from .pictures import SUFFIXES, decoded, of_picture
from .readers.below import is_image, look_below

__all__ = ["Given", "Images", "One", "read", "unpacked"]

# What may stand for one image or for several: a file, a folder, a pattern; a picture; an array.
Given: TypeAlias = str | Path | Image.Image | np.ndarray | Tensor
Images: TypeAlias = Given | Iterable[Given]

# One image, not looked at yet: the path of a file, a picture, or uint8 (height, width, 1 or 3).
One: TypeAlias = str | Image.Image | np.ndarray


def unpacked(images: Images, tell: Callable[[str], None] = lambda text: None) -> Iterator[One]:
    """The images one by one, in the order they are given in; files are neither opened nor looked for.

    A folder stands for all images in it and below it, a pattern (`shots/*.jpg`, `**` for any depth) for the images that
    match it in the order of their names. Arrays are uint8 (height, width), (height, width, 1 or 3) or a batch of these,
    tensors (1 or 3, height, width) or a batch. `tell` hears of images that a folder has and that are left out.

    Raises:
        DataError: a folder or a pattern without images, arrays of another kind.
    """
    if isinstance(images, str | Path):
        yield from _files(images, tell)
    elif isinstance(images, Image.Image):
        yield images
    elif isinstance(images, Tensor):
        yield from _tensors(images)
    elif isinstance(images, np.ndarray):
        yield from _arrays(images)
    elif isinstance(images, Iterable):
        for one in images:
            if not isinstance(one, Given):
                raise DataError(_refused(one))
            yield from unpacked(one, tell)
    else:
        raise DataError(_refused(images))


def read(one: One, *, channels: int, least: int = 0) -> Tensor:
    """An image as uint8 (channels, height, width), as training's readers give it: see `pictures.decoded`.

    Raises OSError when it cannot be read. May be called by several threads at once.
    """
    if isinstance(one, np.ndarray):
        return as_channels(torch.from_numpy(np.array(one)).permute(2, 0, 1), channels)
    if isinstance(one, str):
        return torch.from_numpy(decoded(one, channels=channels, least=least)).permute(2, 0, 1)
    return torch.from_numpy(of_picture(one, channels=channels)).permute(2, 0, 1)


def _files(what: str | Path, tell: Callable[[str], None]) -> Iterator[str]:
    if not str(what):
        raise DataError("an empty path is no image")
    path = Path(what).expanduser()
    if path.is_dir():
        found = look_below(path)
        if not found.images:
            raise DataError(f"there are no images in {path} (they end in {', '.join(SUFFIXES)})")
        for note in found.notes():
            tell(note)
        yield from found.images
    elif glob.has_magic(str(path)) and not path.exists():
        matched = sorted(glob.iglob(str(path), recursive=True))
        # A folder that `**` matched is there with all its files already.
        files = [file for file in matched if is_image(file) and not Path(file).is_dir()]
        if not files:
            raise DataError(f"no image matches '{what}' (images end in {', '.join(SUFFIXES)})")
        yield from files
    else:
        yield str(path)


def _arrays(array: np.ndarray) -> Iterator[np.ndarray]:
    if array.dtype != np.uint8:
        raise DataError(f"images as arrays are uint8, from 0 to 255; got {array.dtype}")
    batch = array[None, :, :, None] if array.ndim == 2 else array[None] if array.ndim == 3 else array
    if batch.ndim != 4 or batch.shape[-1] not in (1, 3) or 0 in batch.shape[1:]:
        raise DataError(
            "an image as an array is (height, width) or (height, width, 1 or 3), and a batch (n, height, width, 1 or 3); "
            f"got {array.shape}"
        )
    yield from batch


def _tensors(tensor: Tensor) -> Iterator[np.ndarray]:
    if tensor.dtype != torch.uint8:
        raise DataError(f"images as tensors are uint8, from 0 to 255; got {tensor.dtype}")
    batch = tensor[None, None] if tensor.ndim == 2 else tensor[None] if tensor.ndim == 3 else tensor
    if batch.ndim != 4 or batch.shape[1] not in (1, 3) or 0 in batch.shape[1:]:
        raise DataError(
            "an image as a tensor is (height, width) or (1 or 3, height, width), and a batch (n, 1 or 3, height, width); got "
            f"{tuple(tensor.shape)}"
        )
    yield from batch.permute(0, 2, 3, 1).cpu().numpy()


def _refused(one: object) -> str:
    return (
        "images are paths of files and folders, patterns, Pillow's pictures, uint8 arrays and tensors; got "
        f"{type(one).__name__}"
    )
