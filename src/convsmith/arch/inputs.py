"""What goes into a network, and the numbers that normalise it."""

from __future__ import annotations

from dataclasses import dataclass

from ..tagged import at_least

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Image"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Image:
    """What goes in: a square image, and the numbers that normalise it (on the [0, 1] scale)."""

    resolution: int
    channels: int = 3
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        at_least("input.resolution", self.resolution, 1)
        at_least("input.channels", self.channels, 1)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ValueError(f"input.{name} has {len(values)} values for {self.channels} channels")
        if min(self.std) <= 0:
            raise ValueError(f"input.std must be above 0; got {self.std}")
