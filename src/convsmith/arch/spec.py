"""An architecture is a frozen value.

An `ArchSpec` says what a network *is*: a stem, stages of equal blocks, perhaps a neck, a head, and a style that holds for
all of them.
It is hashable, comparable, printable and survives JSON. It never holds what can be derived from it: no input widths, no
feature-map sizes, no counts. `plans.plan` unrolls it; the model, the cost, the tables and the exporters read that plan.

Nothing here imports torch. What a part *does* stands beside it, in its own file under `parts/`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from html import escape
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING

from ..errors import UserError
from ..ranges import DEEPEST, at_least, check_numbers, odd
from ..shown import Shown
from ..tagged import LATER
from .ends import Head, Neck
from .inputs import Clip, Image, Latent, drawn
from .part import Block, Conv, Mixer, Norm, Ramp, Stem, Style
from .shapes import Shape

if TYPE_CHECKING:
    import torch

__all__ = ["ArchSpec", "Stage"]


@dataclass(frozen=True)
class Stage:
    """A run of equal blocks. The stride belongs to the first of them.

    Two kinds of block at one resolution are two stages, the second with stride 1. `traded` is the stride it had before its
    blocks were dilated instead (`ArchSpec.at_stride`). Of clips, block i reads `temporal[i % len(temporal)]` frames at once, and
    the first has stride `over` over time.
    """

    block: Block
    depth: int
    width: int
    stride: int
    traded: int = field(default=1, metadata=LATER)
    temporal: tuple[int, ...] = field(default=(1,), metadata=LATER)
    over: int = field(default=1, metadata=LATER)

    def __post_init__(self) -> None:
        check_numbers(self, "stage")
        at_least("stage.depth", self.depth, 1, DEEPEST)
        at_least("stage.width", self.width, 1)
        at_least("stage.stride", self.stride, 1)
        at_least("stage.traded", self.traded, 1)
        at_least("stage.over", self.over, 1)
        if not self.temporal:
            raise ValueError("stage.temporal needs the kernel over time of one block at least: (1,) is none")
        for kernel in self.temporal:
            odd("stage.temporal", kernel)


@dataclass(frozen=True, repr=False)
class ArchSpec(Shown):
    """A whole network as a value.

    >>> import convsmith as cs
    >>> spec = cs.spec("efficientnet_b0")
    >>> spec == cs.from_json(spec.to_json())
    True
    """

    name: str
    input: Image | Clip | Latent
    style: Style
    stem: Stem
    stages: tuple[Stage, ...]
    head: Head
    neck: Neck | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError(f"{self.name}: a network needs at least one stage")
        at_least("blocks of a network", self.depth, 1, DEEPEST)
        if self.head.makes not in (0, self.input.channels):
            raise ValueError(
                f"{self.name}: the head makes images of {self.head.makes} channels, not {self.input.channels}"
            )

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return sum(stage.depth for stage in self.stages)

    @property
    def growth(self) -> int:
        """How many times larger the blocks make a map in all; 1 but for networks that make images."""
        return prod(stage.stride for stage in self.stages if stage.block.grows)

    @property
    def n_names(self) -> int:
        """How many things it is for: classes, joints, those that its input or else its head names."""
        return self.input.n_names or self.head.n_names

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """What it is called with: an image, or what its input says and its head asks for beside it."""
        return self.input.shapes + self.head.beside

    @property
    def called(self) -> tuple[str, ...]:
        """The names of these."""
        return self.input.called + ("y",) * len(self.head.beside)

    def example(self, batch: int = 1, *, seed: int | None = None) -> tuple[torch.Tensor, ...]:
        """What to run it on: zeros, or with `seed` unit Gaussian noise, and classes, that it alone decides."""
        return drawn(self.shapes, batch, seed)

    def __str__(self) -> str:
        many = "s" if self.depth > 1 else ""
        return f"{self.name} at {self.input.px} px: {self.depth} block{many} in {len(self.stages)} stages, {self.head.describe()}"

    def to_json(self) -> str:
        """This value as JSON text, a fixed point of `from_json`."""
        from ..codec import to_json

        return to_json(self)

    def _repr_html_(self) -> str:
        """The stages as a table, for notebooks."""
        rows: list[tuple[object, ...]] = [("stem", self.stem.describe(), "", self.stem.width, "")]
        rows += [(f"stage {i}", s.block.describe(), s.depth, s.width, s.stride) for i, s in enumerate(self.stages, 1)]
        rows.append(("head", self.head.describe(), "", "", ""))
        body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
        head = "".join(f"<th>{name}</th>" for name in ("stage", "block", "depth", "width", "stride"))
        return f"<b>{escape(self.name)}</b> at {self.input.px} px<table><tr>{head}</tr>{body}</table>"

    def with_classes(self, classes: int) -> ArchSpec:
        """The same network for another number of classes, or of whatever its head is for."""
        at_least("classes", classes, 1)
        return replace(self, input=self.input.renamed(classes), head=self.head.renamed(classes))

    def with_resolution(self, resolution: int) -> ArchSpec:
        """The same network read at another resolution; its parameters do not change, but for a generator's linear map of z, whose
        first map has another size. Oblong inputs keep their ratio."""
        return replace(self, input=self.input.resized(resolution))

    def with_channels(self, channels: int) -> ArchSpec:
        """The same network for images of another number of channels, normalised by the mean of the old numbers."""
        mean, std = self.input.mean, self.input.std
        grey = replace(
            self.input,
            channels=channels,
            mean=(sum(mean) / len(mean),) * channels,
            std=(sum(std) / len(std),) * channels,
        )
        if channels == self.input.channels:
            return self
        return replace(self, input=grey, head=self.head.coloured(channels))

    def at_stride(self, stride: int) -> ArchSpec:
        """The same network with its last map at total stride `stride` or finer, for heads that look for places.

        A stage that would go beyond keeps its resolution instead: its stride becomes 1. Where the rule of its blocks is
        dilation (ResNets of every kind), everything behind the convolution that had the stride is dilated by it, which
        leaves the weights' meaning: every second cell of the new map is what the old map held. Other blocks stay as they
        are (MobileNetV2, EfficientNet: DeepLabCut's rule). Weights of the original load unchanged.

        Source: slim's `output_stride` (Chen et al., 2018); DeepLabCut's backbones.

        Raises:
            UserError: the stem alone goes beyond it.
        """
        at_least("stride", stride, 1)
        total = self.stem.reduction
        if total > stride:
            raise UserError(f"the stem of {self.name} divides by {total} already: it cannot be had at stride {stride}")
        stages, dilation = [], 1
        for stage in self.stages:
            kept = min(stage.stride, stride // total)
            total *= kept
            dilation *= stage.stride // kept
            block = stage.block.dilated(dilation)
            traded = stage.traded if block == stage.block else stage.traded * (stage.stride // kept)
            stages.append(replace(stage, block=block, stride=kept, traded=traded))
        return replace(self, stages=tuple(stages))

    def with_style(
        self,
        *,
        norm: Norm | None = None,
        conv: Conv | None = None,
        drop_path: float | None = None,
        zero_last: bool | None = None,
        ramp: Ramp | None = None,
    ) -> ArchSpec:
        """The same network in another style, such as `spec.with_style(norm=GroupNorm())`; what is not given stays."""
        own = self.style
        style = Style(
            norm=own.norm if norm is None else norm,
            conv=own.conv if conv is None else conv,
            drop_path=own.drop_path if drop_path is None else drop_path,
            zero_last=own.zero_last if zero_last is None else zero_last,
            ramp=own.ramp if ramp is None else ramp,
        )
        return replace(self, style=style)

    def with_mixer(self, stage: int, mixer: Mixer | None, *, blocks: Collection[int] | None = None) -> ArchSpec:
        """The same network with `mixer` where stage `stage` (counted from 0, as `spec.stages`) had its k x k convolutions.

        `blocks` names which of the stage's blocks, from 0; without it all of them. A stage of two kinds of block becomes
        several stages, each a run of equal blocks, the stride on the first. `None` puts the convolution back.

        Raises:
            ValueError: no such stage or block, or a block that has no place for a mixer.
        """
        if not -len(self.stages) <= stage < len(self.stages):
            raise ValueError(f"{self.name} has stages 0 to {len(self.stages) - 1}; got {stage}")
        stage %= len(self.stages)
        old = self.stages[stage]
        mixed = old.block.with_mixer(mixer)
        chosen = range(old.depth) if blocks is None else blocks
        if any(not 0 <= block < old.depth for block in chosen):
            raise ValueError(f"stage {stage} of {self.name} has blocks 0 to {old.depth - 1}; got {sorted(chosen)}")
        runs: list[Stage] = []
        for block, run in groupby(mixed if index in chosen else old.block for index in range(old.depth)):
            own = replace(old, block=block, depth=len(list(run)))
            runs.append(replace(own, stride=1, traded=1, over=1) if runs else own)
        return replace(self, stages=(*self.stages[:stage], *runs, *self.stages[stage + 1 :]))
