"""Resizing, the same wherever images are made smaller or larger."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

__all__ = ["covering", "resized", "shortened"]


def shortened(images: Tensor, short: int) -> Tensor:
    """A batch of one size, resized so that its short side has `short` pixels."""
    return resized(images, *covering((short, short), *images.shape[2:]))


def covering(sides: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """The least (height, width) of an image's own shape that cover `sides`; the side that does not fit exactly rounds down."""
    high, wide = sides
    if height * wide <= width * high:
        return high, high * width // height
    return wide * height // width, wide


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bilinear; what torchvision's `resize` calls, without its dispatch and its slow import."""
    if images.shape[2:] == (height, width):
        return images
    return interpolate(images, size=(height, width), mode="bilinear", antialias=True)
