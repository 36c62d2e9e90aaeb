"""A search space as a frozen value: a base network and the values that each of its axes may take."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..arch import ArchSpec, Block
from ..errors import UserError
from ..ranges import MOST, check_numbers

__all__ = ["Axes", "Axis", "Genes", "Space"]

# One value for each axis, in the order of `Space.axes`: flat, hashable, fit for JSON. The key of every cache and table.
Genes = tuple[float, ...]


@dataclass(frozen=True)
class Axis:
    """One choice: its name, such as `stages.2.kernel`, and the values it may take, rising."""

    name: str
    values: Genes


@dataclass(frozen=True)
class Axes:
    """The values that one stage may take. All blocks of a stage share them, as in the paper. An empty axis is the base's."""

    width: tuple[int, ...] = ()
    depth: tuple[int, ...] = ()
    kernel: tuple[int, ...] = ()
    expand: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_numbers(self, "axes")


@dataclass(frozen=True)
class Space:
    """Every network that `base` becomes when each axis takes one of its values.

    Resolution, stem width and head width belong to the network, four axes to each stage. What no axis names is the base's:
    operators, strides, squeeze-excitation, style, classes. A child is a plain `ArchSpec` named as the base is, so equal
    children are equal values; `genes` is its short form.

    Raises:
        UserError: an axis with a value that its network cannot have, named with the axis.
    """

    base: ArchSpec
    stages: tuple[Axes, ...]
    resolution: tuple[int, ...] = ()
    stem: tuple[int, ...] = ()
    head: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_numbers(self, "space")
        if len(self.base.shapes) > 1:
            raise UserError(f"{self.base.name} reads more than images: networks of its kind have no supernet")
        if self.base.head.decides and len(self.resolution) > 1:
            raise UserError(
                f"resolution: {self.base.name} finds places in what it is shown, and children that are shown it at other sizes "
                f"would not find the same ones: it may be one value; got {self.resolution}"
            )
        if len(self.stages) != len(self.base.stages):
            raise UserError(f"{self.base.name} has {len(self.base.stages)} stages; got axes for {len(self.stages)}")
        for index, (stage, axes) in enumerate(zip(self.base.stages, self.stages, strict=True)):
            choices = stage.block.choices
            if axes.kernel and (choices.kernel is None or choices.mixer is not None):
                raise UserError(f"stages.{index}.kernel: a {stage.block.describe()} block has no kernel to choose")
            if axes.expand and choices.expand is None:
                raise UserError(f"stages.{index}.expand: a {stage.block.kind} block has no expansion to choose")
            if any(kernel % 2 == 0 for kernel in axes.kernel):
                raise UserError(f"stages.{index}.kernel must be odd, to have a centre; got {axes.kernel}")
        if self.head and not self.base.head.choice:
            raise UserError(f"head: {self.base.name} has no convolution in its head whose width could be chosen")
        for axis in self.axes:
            if list(axis.values) != sorted(set(axis.values)) or not 0 < axis.values[0] <= axis.values[-1] <= MOST:
                raise UserError(f"{axis.name} must be rising values above 0, up to {MOST}; got {axis.values}")

    # ---- axes ----------------------------------------------------------------------------------------------------

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """Every axis in order; those without a choice have the base's one value."""
        own = [
            Axis("resolution", self.resolution or (self.base.input.resolution,)),
            Axis("stem", self.stem or (self.base.stem.width,)),
        ]
        for index, (stage, axes) in enumerate(zip(self.base.stages, self.stages, strict=True)):
            kernel, expand = _chosen(stage.block)
            own += [
                Axis(f"stages.{index}.width", axes.width or (stage.width,)),
                Axis(f"stages.{index}.depth", axes.depth or (stage.depth,)),
                Axis(f"stages.{index}.kernel", axes.kernel or (kernel,)),
                Axis(f"stages.{index}.expand", axes.expand or (expand,)),
            ]
        return (*own, Axis("head", self.head or (self.base.head.choice or 1,)))

    def size(self) -> int:
        """How many networks the space holds."""
        return math.prod(len(axis.values) for axis in self.axes)

    @cached_property
    def key(self) -> str:
        """A short digest that two spaces share only if they are equal; checkpoints carry it."""
        text = json.dumps([self.base.to_json(), [(axis.name, axis.values) for axis in self.axes]])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    # ---- children ------------------------------------------------------------------------------------------------

    def spec(self, genes: Sequence[float]) -> ArchSpec:
        """The child of these genes.

        Raises:
            UserError: a value that its axis does not have, with those it has.
        """
        if len(genes) != len(self.axes):
            raise UserError(f"{self.base.name}'s space has {len(self.axes)} axes; got {len(genes)} values")
        for axis, value in zip(self.axes, genes, strict=True):
            if value not in axis.values:
                raise UserError(f"{axis.name} may be {', '.join(f'{one:g}' for one in axis.values)}; got {value:g}")
        return self._spec(genes)

    def genes(self, spec: ArchSpec) -> Genes:
        """The genes of a child, whatever its name.

        Raises:
            UserError: `spec` is not in the space; the message says by which axis.
        """
        if len(spec.stages) != len(self.base.stages):
            raise UserError(f"{spec.name} has {len(spec.stages)} stages, the space {len(self.base.stages)}")
        genes: list[float] = [spec.input.resolution, spec.stem.width]
        for stage in spec.stages:
            genes += [stage.width, stage.depth, *_chosen(stage.block)]
        genes.append(spec.head.choice or 1)
        found = self.spec(genes)
        if found != replace(spec, name=self.base.name):
            raise UserError(f"{spec.name} differs from the space's networks in something that no axis is for")
        return tuple(genes)

    def contains(self, spec: ArchSpec) -> bool:
        """Whether `spec` is in the space, whatever its name."""
        try:
            self.genes(spec)
        except UserError:
            return False
        return True

    def biggest(self) -> ArchSpec:
        """The child that has the last value of every axis: the one whose weights hold all others'."""
        return self._spec([axis.values[-1] for axis in self.axes])

    def smallest(self) -> ArchSpec:
        """The child that has the first value of every axis, the resolution's among them."""
        return self._spec([axis.values[0] for axis in self.axes])

    def sample(self, rng: random.Random) -> ArchSpec:
        """A child drawn evenly on every axis."""
        return self._spec([rng.choice(axis.values) for axis in self.axes])

    def mutate(self, spec: ArchSpec, rng: random.Random, *, rate: float = 0.1) -> ArchSpec:
        """A child that differs from `spec`: each axis moves with probability `rate` to another of its values, one at least.

        A space of one network gives that one back.
        """
        genes = list(self.genes(spec))
        free = [index for index, axis in enumerate(self.axes) if len(axis.values) > 1]
        moved = [index for index in free if rng.random() < rate] or ([rng.choice(free)] if free else [])
        for index in moved:
            genes[index] = rng.choice([value for value in self.axes[index].values if value != genes[index]])
        return self._spec(genes)

    def over(self, base: ArchSpec) -> Space:
        """The same choices around another base of as many stages, such as one with another head: without those that it has
        not, and at its own resolution alone where it finds places."""
        one = base.head.decides or base.input != self.base.input
        return replace(
            self,
            base=base,
            resolution=() if one else self.resolution,
            head=self.head if base.head.choice else (),
        )

    def with_classes(self, classes: int) -> Space:
        """The same choices for another number of classes."""
        return replace(self, base=self.base.with_classes(classes))

    def _spec(self, genes: Sequence[float]) -> ArchSpec:
        values = iter(genes)
        resolution, stem = int(next(values)), int(next(values))
        stages = []
        for stage in self.base.stages:
            width, depth, kernel, expand = (next(values) for _ in range(4))
            block = stage.block.varied(int(kernel), expand)
            stages.append(replace(stage, block=block, width=int(width), depth=int(depth)))
        return replace(
            self.base.with_resolution(resolution),
            stem=replace(self.base.stem, width=stem),
            stages=tuple(stages),
            head=self.base.head.with_choice(int(next(values))),
        )


def _chosen(block: Block) -> tuple[int, float]:
    """A block's kernel and expansion; 1 where it has no such choice, so that every stage has as many genes."""
    own = block.choices
    return 1 if own.kernel is None else own.kernel, 1 if own.expand is None else own.expand
