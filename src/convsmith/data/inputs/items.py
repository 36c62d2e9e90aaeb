"""Images of a dataset of the user's own, which only Python knows how to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import DataError
from ..pictures import Cut, cut_out, plain
from .inputs import Inputs, as_channels

__all__ = ["Items", "MapStyle", "image_and_label", "name_of"]


@runtime_checkable
class MapStyle(Protocol):
    """What has a length and gives an item for each number below it: torch's map-style `Dataset`, a list, an HF set."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class Items(Inputs):
    """Image `i` is that of item `index[i]` of `dataset`, read anew each time it is asked for.

    `steady` is False where the dataset is known to give an item another way each time. Other processes are handed the
    dataset as a pickle.
    """

    dataset: MapStyle
    index: np.ndarray
    steady: bool = True

    def __len__(self) -> int:
        return len(self.index)

    def decode(self, i: int, *, channels: int = 3, least: int = 0, cut: Cut | None = None) -> Tensor:
        image, _ = image_and_label(self.dataset, int(self.index[i]))
        # Pillow and torch may lend what they go on using.
        return as_channels(torch.from_numpy(cut_out(image, cut).copy()).permute(2, 0, 1), channels)

    def size(self, i: int, *, least: int = 0) -> tuple[int, int]:
        image, _ = image_and_label(self.dataset, int(self.index[i]))
        return image.shape[0], image.shape[1]

    def where(self, i: int) -> str:
        return f"item {int(self.index[i])} of {name_of(self.dataset)}"

    def take(self, indices: np.ndarray) -> Items:
        return Items(self.dataset, self.index[indices], self.steady)


def name_of(dataset: MapStyle) -> str:
    """What a dataset is called where it is spoken of."""
    return type(dataset).__name__


def image_and_label(dataset: MapStyle, index: int) -> tuple[np.ndarray, Any]:
    """The image of an item, uint8 (height, width, 1 or 3), and what it is labelled with.

    Raises:
        OSError: the item cannot be read, whatever the dataset says of it.
        DataError: it is nothing that an image could be made of.
    """
    try:
        item = dataset[index]
    except OSError:
        raise
    except Exception as error:  # of the user's own code, or of a decoder it calls
        raise OSError(f"{type(error).__name__}: {error}") from error
    where = f"item {index} of {name_of(dataset)}"
    match item:
        case {"image": image, "label": label}:
            pass
        case (image, label):
            pass
        case _:
            raise DataError(f"{where} is a {type(item).__name__}; it must be (image, label)")
    return _pixels(image, where), label


def _pixels(image: object, where: str) -> np.ndarray:
    match image:
        case Image.Image():
            return plain(image)
        case Tensor(dtype=torch.uint8, ndim=2):
            return image.numpy(force=True)[:, :, None]
        case Tensor(dtype=torch.uint8, ndim=3) if image.shape[0] in (1, 3):
            return image.permute(1, 2, 0).numpy(force=True)
        case Tensor():
            what = f"a {str(image.dtype).removeprefix('torch.')} tensor {tuple(image.shape)}"
        case _:
            what = f"a {type(image).__name__}"
    raise DataError(
        f"the image of {where} is {what}; give a PIL image, or a uint8 tensor (height, width) or (1 or 3, height, width), "
        "not normalised: networks here normalise by themselves"
    )
