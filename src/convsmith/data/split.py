"""A part of the data: what goes in, and what should come out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .inputs import Inputs, Joined
from .targets import Targets

__all__ = ["Split"]


@dataclass(frozen=True, eq=False)
class Split:
    """Images and what should come of each, in the same order.

    `groups` says of each image whom or what it belongs to, an individual, a camera, a site: what a part that is out of the
    domain divides by. It is empty where nothing is known of that.
    """

    inputs: Inputs
    targets: Targets
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.inputs)
        if len(self.targets) != n or (self.groups and len(self.groups) != n):
            raise ValueError(f"{n} inputs, {len(self.targets)} targets and {len(self.groups)} groups")

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: np.ndarray) -> Split:
        """The images at `indices`, in that order, with what belongs to them."""
        groups = tuple(self.groups[i] for i in indices) if self.groups else ()
        return Split(self.inputs.take(indices), self.targets.take(indices), groups)

    def joined(self, *others: Split) -> Split:
        """These images, and behind them those of `others`, whose targets are of the same kind."""
        if not others:
            return self
        every = (self, *others)
        groups = sum((one.groups for one in every), ()) if all(one.groups for one in every) else ()
        inputs = Joined.of(*(one.inputs for one in every))
        return Split(inputs, self.targets.joined(*(one.targets for one in others)), groups)
