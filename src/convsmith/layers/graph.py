"""A normalisation-activation layer that is given as a graph of primitives; `graph_program` has their values and guards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..graphs import NormGraph, Op
from .clips import whole_clip
from .evonorm import give_affine
from .evonorm_graph import accurate
from .graph_program import Program, wide

__all__ = ["GraphNorm2d"]


class GraphNorm2d(nn.Module):
    """y = weight c(x) + bias with the core c of `graph`, ⟨N,C,H,W⟩ -> ⟨N,C,H,W⟩. `groups` must divide `channels`.

    Parameters are numbers a channel: `weight`, `bias`, and `v0` and `v1` where the graph reads them. Everything is reckoned in
    float32 at least; the result has the dtype of x.

    A moment of the batch whose argument varies from image to image, or from place to place, has a buffer `stat0`, `stat1`, ...
    in order of dependence: the moment before its root, mean, mean square or the population's variance. In training

        stat = (1 - momentum) stat + momentum moment of the batch;

    in evaluation it stands for the node, and what only that read is not computed. Without `affine` it is the core alone.
    """

    whole_norm = True
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        graph: NormGraph,
        channels: int,
        *,
        groups: int = 32,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
    ) -> None:
        super().__init__()
        if groups < 1 or channels % groups:
            raise ValueError(f"{channels} channels do not split into {groups} groups")
        self.graph, self.groups, self.momentum = graph, groups, momentum
        self.program = Program(graph, eps)
        give_affine(self, channels, affine)
        self.v0 = nn.Parameter(torch.zeros(channels)) if self.program.uses("v0") else None
        self.v1 = nn.Parameter(torch.ones(channels)) if self.program.uses("v1") else None
        for name, at in self._names:
            step = self.program.steps[at]
            width = channels if step.wide else 1
            self.register_buffer(name, torch.zeros(width) if step.op is Op.MEAN else torch.ones(width))

    @whole_clip
    def forward(self, x: Tensor) -> Tensor:
        leaves = self._leaves(x)
        kept = None if self.training else {at: wide(self._stat(name)) for name, at in self._names}
        weight, bias = (wide(vector.to(leaves["x"].dtype)) for vector in (self.weight, self.bias))
        out, raw = self.program.layer(leaves, self.groups, weight, bias, kept)
        if self.training:
            self._move(raw)
        return out.to(x.dtype)

    def extra_repr(self) -> str:
        return f"{self.graph.text}, {len(self.weight)}, groups={self.groups}, eps={self.program.eps:g}"

    @property
    def _names(self) -> list[tuple[str, int]]:
        return [(f"stat{index}", at) for index, at in enumerate(self.program.running)]

    def _stat(self, name: str) -> Tensor:
        return self.get_buffer(name)

    def _leaves(self, x: Tensor) -> dict[str, Tensor]:
        exact = x.to(accurate(x))
        vectors = {"v0": self.v0, "v1": self.v1}
        return {"x": exact} | {name: wide(v.to(exact.dtype)) for name, v in vectors.items() if v is not None}

    @torch.no_grad()
    def _move(self, raw: dict[int, Tensor]) -> None:
        for name, at in self._names:
            stat = self._buffers[name]
            if stat is not None:  # none where only the batch is gone by
                stat.lerp_(raw[at].detach().flatten().to(stat.dtype), self.momentum)

    @torch.no_grad()
    def constants(self) -> dict[str, Tensor]:
        """What does not depend on x in evaluation, by text, ⟨1,C,1,1⟩ or of fewer channels, in double precision."""
        leaves = self._leaves(self.weight.new_zeros((1, len(self.weight), 1, 1), dtype=torch.float64))
        kept = {at: wide(self._stat(name)).double() for name, at in self._names}
        free = {at for at in range(len(self.program.steps)) if self.program.free(at, frozenset(kept))}
        values, _ = self.program.reckoned(leaves, self.groups, goals=tuple(sorted(free)), kept=kept)
        return {self.program.steps[at].name: values[at] for at in free}

    # ---- running statistics ------------------------------------------------------------------------------------------

    @property
    def stages(self) -> int:
        return len(self.program.stages)

    def untouched(self) -> bool:
        return all(
            bool((self._stat(name) == (self.program.steps[at].op is not Op.MEAN)).all()) for name, at in self._names
        )

    def forget(self) -> None:
        for name, at in self._names:
            self._stat(name).fill_(self.program.steps[at].op is not Op.MEAN)

    def by_batch(self) -> None:
        for name, _ in self._names:
            self._buffers[name] = None

    def arguments(self, x: Tensor, stage: int | None = None) -> tuple[Tensor, ...]:
        goals, kept = self._observed(stage), {}
        if stage is not None:
            earlier = {at for one in self.program.stages[:stage] for at in one}
            kept = {at: wide(self._stat(name)) for name, at in self._names if at in earlier}
        values, _ = self.program.reckoned(self._leaves(x), self.groups, goals=goals, kept=kept)
        return tuple(values[at] for at in goals)

    def settle(self, moments: Sequence[tuple[Tensor, Tensor]], batches: int, stage: int | None = None) -> None:
        found = dict(zip(self._observed(stage), moments, strict=True))
        for name, at in self._names:
            step = self.program.steps[at]
            if step.reads[0] in found and (stage is None or at in self.program.stages[stage]):
                mean, variance = found[step.reads[0]]
                raw = {Op.MEAN: mean, Op.STD: variance, Op.RMS: variance + mean.square()}
                assert step.op is not None
                self._stat(name).copy_(raw[step.op])

    def _observed(self, stage: int | None) -> tuple[int, ...]:
        """The numbers of the arguments whose moments are kept, of one stage or of all."""
        running = self.program.running if stage is None else self.program.stages[stage]
        return tuple(dict.fromkeys(self.program.steps[at].reads[0] for at in running))
