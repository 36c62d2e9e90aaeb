"""Resizing, the same wherever images are made smaller or larger."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

__all__ = ["central", "covering", "fitting", "resized", "shortened"]

# An image that is this many times longer than the network's is cut before it is enlarged: of a line of pixels, all of it
# would fill the memory.
_LONG = 16


def shortened(images: Tensor, short: int) -> Tensor:
    """A batch of one size, resized so that its short side has `short` pixels."""
    return resized(images, *covering((short, short), *images.shape[2:]))


def covering(sides: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """The least (height, width) of an image's own shape that cover `sides`; the side that does not fit exactly rounds down."""
    high, wide = sides
    if height * wide <= width * high:
        return high, high * width // height
    return wide * height // width, wide


def fitting(sides: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """The largest (height, width) of an image's own shape that fit into `sides`; the side that does not fit exactly is rounded."""
    high, wide = sides
    if height * wide >= width * high:
        return high, max(1, (2 * high * width + height) // (2 * height))
    return max(1, (2 * wide * height + width) // (2 * width)), wide


def central(sides: tuple[int, int], height: int, width: int) -> tuple[int, int, int, int]:
    """The part (top, left, height, width) of an image whose middle is the middle of the image made to cover `sides`.

    It is all of the image, but of one that would be very long no more than twice what is seen of it: to a pixel, as if it
    had been resized whole.
    """
    high, wide = covering(sides, height, width)
    rows = _seen(height, -(-width * sides[0] // sides[1])) if high > _LONG * sides[0] else height
    columns = _seen(width, -(-height * sides[1] // sides[0])) if wide > _LONG * sides[1] else width
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def _seen(length: int, shown: int) -> int:
    """Twice `shown` pixels and some of `length`, as many left out before them as behind."""
    some = min(length, 2 * shown + 2)
    return some + (length - some) % 2


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bilinear; what torchvision's `resize` calls, without its dispatch and its slow import."""
    if images.shape[2:] == (height, width):
        return images
    return interpolate(images, size=(height, width), mode="bilinear", antialias=True)
