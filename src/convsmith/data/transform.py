"""One image as a network is shown it, for a loader of one's own."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..arch import Image
from ..errors import DataError
from .given import Given, read, unpacked
from .normalise import Normalise
from .pictures import why
from .showing import shown

__all__ = ["Transform"]


@dataclass(frozen=True)
class Transform:
    """A callable from an image to what a network of this `input` reads: float32 (channels, height, width), as `evaluate` has it.

    `whole`: for a network that finds something in the picture, which is resized to fit into the sides and filled up with black
    at the right and the bottom, instead of its middle.

    An image is a Pillow picture, a path, or bytes: an array (height, width, 1 or 3) or a tensor (1 or 3, height, width) of
    uint8. Resized until it just covers the sides, antialiased; then the centre; then (x / 255 - mean) / std. It can be pickled,
    so that the workers of a `DataLoader` may have it.

    Raises:
        DataError: anything else, more than one image, or one that cannot be read.
    """

    input: Image
    whole: bool = False

    def __call__(self, image: Given) -> Tensor:
        one, *others = unpacked(image)
        if others:
            raise DataError(f"one image at a time; got {1 + len(others)}")

        def picture(_: int, least: int) -> Tensor:
            try:
                return read(one, channels=self.input.channels, least=least)
            except OSError as error:
                raise DataError(f"the image cannot be read: {why(error)}") from None

        images, _ = shown(picture, 1, sides=self.input.sides, channels=self.input.channels, whole=self.whole)
        normalised: Tensor = Normalise(self.input.mean, self.input.std)(images)
        return normalised[0]
