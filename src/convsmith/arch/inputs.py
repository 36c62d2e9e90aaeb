"""What goes into a network, and the numbers that normalise it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

from ..errors import UserError
from ..ranges import MOST, above, at_least, check_numbers
from ..tagged import LATER
from .shapes import Shape

if TYPE_CHECKING:
    import torch

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Clip", "Image"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Image:
    """What goes in: an image, and the numbers that normalise it (on the [0, 1] scale).

    It is a square of side `resolution`, unless `width` says otherwise: then `resolution` is its height.
    """

    frames: ClassVar[int] = 0  # a picture has none
    stride: ClassVar[int] = 1
    resolution: int
    channels: int = 3
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    width: int | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        check_numbers(self, "input")
        at_least("input.resolution", self.resolution, 1)
        at_least("input.channels", self.channels, 1)
        at_least("input.width", 1 if self.width is None else self.width, 1)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ValueError(f"input.{name} has {len(values)} values for {self.channels} channels")
        for mean, std in zip(self.mean, self.std, strict=True):
            at_least("input.mean", mean, -MOST)
            above("input.std", std, 0)
        if self.width == self.resolution:  # equal images are equal values
            object.__setattr__(self, "width", None)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width, of each frame of a clip."""
        return self.resolution, self.resolution if self.width is None else self.width

    @property
    def side(self) -> int:
        """The side of a square image, for what reads no other.

        Raises:
            UserError: it is oblong.
        """
        if self.width is not None:
            raise UserError(f"only square images can be used here; this network reads {self.px} px")
        return self.resolution

    @property
    def px(self) -> str:
        """Its size in words: `224`, or `256x192` (height first) where it is oblong."""
        return str(self.resolution) if self.width is None else f"{self.resolution}x{self.width}"

    @property
    def shape(self) -> Shape:
        return Shape(self.channels, self.sides)

    def resized(self, resolution: int) -> Self:
        """The same image at another resolution; an oblong one keeps the ratio of its sides, to the nearest pixel."""
        width = None if self.width is None else max(1, round(self.width * resolution / self.resolution))
        return replace(self, resolution=resolution, width=width)

    def example(self, batch: int = 1, *, seed: int | None = None) -> torch.Tensor:
        """A batch to run a network on, ⟨batch,C,H,W⟩: zeros, or with `seed` unit Gaussian noise that it alone decides."""
        import torch

        shape = (batch, *self.shape.dims)
        if seed is None:
            return torch.zeros(shape)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Clip(Image):
    """What goes in: `frames` images of a film, `stride` of its frames apart, each as `Image` says.

    >>> Clip(resolution=224, frames=32, stride=2).shape.dims
    (3, 32, 224, 224)
    """

    frames: int = field(kw_only=True)  # type: ignore[misc]
    stride: int = field(default=1, kw_only=True)  # type: ignore[misc]

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("input.frames", self.frames, 1)
        at_least("input.stride", self.stride, 1)

    @property
    def px(self) -> str:
        """Its size in words: `32x224` of square frames, `32x256x192` of oblong ones."""
        return f"{self.frames}x{super().px}"

    @property
    def shape(self) -> Shape:
        return Shape(self.channels, (self.frames, *self.sides))
