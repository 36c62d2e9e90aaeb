"""A search space as a frozen value: a base network and the values that each of its axes may take."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

from ..arch import ArchSpec, Block
from ..errors import UserError

__all__ = ["Axes", "Axis", "Genes", "Space", "expansion", "has_mixer"]

# One value for each axis, in the order of `Space.axes`: flat, hashable, fit for JSON. The key of every cache and table.
Genes = tuple[float, ...]

# What blocks call the ratio of their middle to the width it is reckoned from.
EXPANSIONS = ("expand", "ratio")


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
        if self.base.input.width is not None:
            raise UserError(f"{self.base.name} reads {self.base.input.px} px; a space is of networks for square images")
        if len(self.stages) != len(self.base.stages):
            raise UserError(f"{self.base.name} has {len(self.base.stages)} stages; got axes for {len(self.stages)}")
        for index, (stage, axes) in enumerate(zip(self.base.stages, self.stages, strict=True)):
            if axes.kernel and ("kernel" not in _names(stage.block) or has_mixer(stage.block)):
                raise UserError(f"stages.{index}.kernel: a {stage.block.describe()} block has no kernel to choose")
            if axes.expand and expansion(stage.block) is None:
                raise UserError(f"stages.{index}.expand: a {stage.block.kind} block has no expansion to choose")
            if any(kernel % 2 == 0 for kernel in axes.kernel):
                raise UserError(f"stages.{index}.kernel must be odd, to have a centre; got {axes.kernel}")
        if self.head and not _head_width(self.base):
            raise UserError(f"head: {self.base.name} has no convolution in its head whose width could be chosen")
        for axis in self.axes:
            if list(axis.values) != sorted(set(axis.values)) or axis.values[0] <= 0:
                raise UserError(f"{axis.name} must be rising values above 0; got {axis.values}")

    # ---- axes ----------------------------------------------------------------------------------------------------

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """Every axis in order; those without a choice have the base's one value."""
        own = [
            Axis("resolution", self.resolution or (self.base.input.resolution,)),
            Axis("stem", self.stem or (self.base.stem.width,)),
        ]
        for index, (stage, axes) in enumerate(zip(self.base.stages, self.stages, strict=True)):
            own += [
                Axis(f"stages.{index}.width", axes.width or (stage.width,)),
                Axis(f"stages.{index}.depth", axes.depth or (stage.depth,)),
                Axis(f"stages.{index}.kernel", axes.kernel or (_value(stage.block, "kernel"),)),
                Axis(f"stages.{index}.expand", axes.expand or (_value(stage.block, expansion(stage.block)),)),
            ]
        return (*own, Axis("head", self.head or (_head_width(self.base) or 1,)))

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
            genes += [stage.width, stage.depth]
            genes += [_value(stage.block, "kernel"), _value(stage.block, expansion(stage.block))]
        genes.append(_head_width(spec) or 1)
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

    def with_classes(self, classes: int) -> Space:
        """The same choices for another number of classes."""
        return replace(self, base=self.base.with_classes(classes))

    def _spec(self, genes: Sequence[float]) -> ArchSpec:
        values = iter(genes)
        resolution, stem = int(next(values)), int(next(values))
        stages = []
        for stage in self.base.stages:
            width, depth, kernel, expand = (next(values) for _ in range(4))
            block = _with(stage.block, "kernel", int(kernel))
            block = _with(block, expansion(block), expand)
            stages.append(replace(stage, block=block, width=int(width), depth=int(depth)))
        head = self.base.head
        if _head_width(self.base):
            head = replace(head, width=int(next(values)))  # type: ignore[call-arg]
        return replace(
            self.base.with_resolution(resolution),
            stem=replace(self.base.stem, width=stem),
            stages=tuple(stages),
            head=head,
        )


# ---- fields by what they mean --------------------------------------------------------------------------------------


def expansion(block: Block) -> str | None:
    """The field that holds a block's expansion, under either of its names; None where it has none."""
    return next((name for name in EXPANSIONS if name in _names(block)), None)


def _names(part: object) -> set[str]:
    return {field.name for field in fields(part)}  # type: ignore[arg-type]


def _items(part: object) -> Iterator[tuple[str, object]]:
    return ((name, vars(part)[name]) for name in _names(part))


def has_mixer(block: object) -> bool:
    """Whether something else stands where the block's convolution stood."""
    return dict(_items(block)).get("mixer") is not None


def _value(block: Block, name: str | None) -> float:
    """A numeric field of a block; 1 where it has no such field, so that every stage has as many genes."""
    value = dict(_items(block)).get(name or "", 1)
    assert isinstance(value, (int, float))
    return value


def _with(block: Block, name: str | None, value: float) -> Block:
    """The block with that field changed; a block without the field, or with this value in it, as it is."""
    if name is None or name not in _names(block) or _value(block, name) == value:
        return block
    return replace(block, **{name: value})


def _head_width(spec: ArchSpec) -> int:
    """The width of the head's convolution; 0 where it has none."""
    width = dict(_items(spec.head)).get("width", 0)
    assert isinstance(width, int)
    return width
