"""What goes into a network, and the numbers that normalise it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

from ..errors import UserError
from ..ranges import MOST, above, at_least, check_numbers
from ..tagged import LATER
from .shapes import Shape

if TYPE_CHECKING:
    import torch

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Clip", "Image", "Latent", "drawn"]

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

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """What a network is called with."""
        return (self.shape,)

    @property
    def called(self) -> tuple[str, ...]:
        """The names of these, as an exported file has them."""
        return ("images",)

    @property
    def n_names(self) -> int:
        """How many classes the input itself is of; 0 where it names none."""
        return 0

    def renamed(self, n: int) -> Self:
        """The same input for `n` of them."""
        return self

    def resized(self, resolution: int) -> Self:
        """The same image at another resolution; an oblong one keeps the ratio of its sides, to the nearest pixel."""
        width = None if self.width is None else max(1, round(self.width * resolution / self.resolution))
        return replace(self, resolution=resolution, width=width)

    def example(self, batch: int = 1, *, seed: int | None = None) -> torch.Tensor:
        """A batch to run a network on, ⟨batch,C,H,W⟩: zeros, or with `seed` unit Gaussian noise that it alone decides."""
        return drawn((self.shape,), batch, seed)[0]


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


@dataclass(frozen=True)
class Latent(Image):
    """What goes into a network that makes images: `dim` numbers from N(0, 1), and one of `classes`.

    What it inherits is of the picture that leaves: its sides, its channels, and the numbers by which the pictures that it is
    to resemble are normalised. With mean and deviation 0.5 they are in [-1, 1].
    """

    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    dim: int = field(kw_only=True)
    classes: int = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("input.dim", self.dim, 1)
        at_least("input.classes", self.classes, 1)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return Shape(self.dim), Shape(self.classes, named=True)

    @property
    def called(self) -> tuple[str, ...]:
        return "z", "y"

    @property
    def n_names(self) -> int:
        return self.classes

    def renamed(self, n: int) -> Self:
        return replace(self, classes=n)


def drawn(shapes: Sequence[Shape], batch: int, seed: int | None) -> tuple[torch.Tensor, ...]:
    """A tensor of each shape to run a network on: zeros, or with `seed` unit Gaussian noise and classes that it alone decides."""
    import torch

    random = None if seed is None else torch.Generator().manual_seed(seed)
    found = []
    for shape in shapes:
        size = (batch, *shape.dims)
        if shape.named:
            zeros = torch.zeros(size, dtype=torch.long)
            found.append(zeros if random is None else torch.randint(shape.channels, size, generator=random))
        else:
            found.append(torch.zeros(size) if random is None else torch.randn(size, generator=random))
    return tuple(found)
