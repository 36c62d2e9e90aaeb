"""A graph of primitives reckoned on tensors, node by node.

A node is kept in the shape that it varies over, with axes of one value elsewhere: a moment over such an axis is the identity, as
it is of what is broadcast. With delta = 1e-6 the guards are

    x / y                 |y| < delta becomes delta, or -delta where y < 0
    sign(x) ln |x|        |x| is delta at least; 0 at 0
    sign(x) sqrt |x|      likewise

and stand only where they can fire. Epsilon is inside the roots of second moments. All moments of one argument are made of its
mean and variance over each image's channel, which are taken once. Passes over whole maps are what costs: a map that is shifted and
scaled by numbers a channel, in however many primitives, is so in one pass, as (x - mean) / std * v1 + v0 is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..graphs import Expression, NormGraph, Op, Over
from ..graphs.bounds import DELTA, least
from ..graphs.expression import CHANNELS, SPACE

__all__ = ["Program", "Step", "wide"]


def wide(rows: Tensor) -> Tensor:
    """⟨C⟩ -> ⟨1,C,1,1⟩, to stand beside a map."""
    return rows[None, :, None, None]


class Step(NamedTuple):
    """A node: a leaf by its `name`, a primitive `does` of the nodes `reads`, or a moment `op` `over` an index set. `running`: the
    batch's, which evaluation takes from training; `wide`: it differs from channel to channel; `spatial`: the node differs from
    place to place."""

    name: str
    reads: tuple[int, ...]
    does: Callable[..., Tensor] | None
    op: Op | None
    over: Over | None
    running: bool
    wide: bool
    spatial: bool


class Program:
    """The nodes of a graph in order of dependence, the last of them its value.

    `running` are the numbers of the moments that evaluation takes from training, `stages` the same by how deep they lie inside
    one another: those of a stage are of arguments that read earlier stages alone.
    """

    def __init__(self, graph: NormGraph, eps: float) -> None:
        nodes = tuple(graph.expression.nodes())
        numbers = {node.text: at for at, node in enumerate(nodes)}
        self.steps = tuple(_step(node, numbers, eps) for node in nodes)
        self.eps = eps
        self.running = tuple(at for at, step in enumerate(self.steps) if step.running)
        # Where the variance is taken, a mean square costs nothing more; alone it is one pass and not two.
        self._centred = frozenset(step.reads[0] for step in self.steps if step.op is Op.STD)
        self._orders: dict[tuple[tuple[int, ...], frozenset[int]], tuple[int, ...]] = {}

    @property
    def last(self) -> int:
        return len(self.steps) - 1

    @cached_property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        depth: list[int] = []
        for step in self.steps:
            depth.append(max((depth[read] for read in step.reads), default=0) + step.running)
        return tuple(
            tuple(at for at in self.running if depth[at] == stage) for stage in range(1, max(depth, default=0) + 1)
        )

    def uses(self, name: str) -> bool:
        """Whether the leaf of that name is read."""
        return any(step.name == name for step in self.steps)

    def free(self, at: int, kept: frozenset[int]) -> bool:
        """Whether a node does not depend on x, where those in `kept` are given."""
        step = self.steps[at]
        return at in kept or (step.name != "x" and all(self.free(read, kept) for read in step.reads))

    def reckoned(
        self,
        leaves: Mapping[str, Tensor],
        groups: int,
        *,
        goals: tuple[int, ...] | None = None,
        kept: Mapping[int, Tensor] | None = None,
    ) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """The values of `goals` by number, and the running moments of this batch before their roots.

        `leaves` are x ⟨N,C,H,W⟩ and, where they are read, v0 and v1 ⟨1,C,1,1⟩. `kept` are moments before their roots that stand
        for nodes: what only these read is not computed. Without `goals` the last node is what is wanted.
        """
        goals = (self.last,) if goals is None else goals
        values, raw = self._run(leaves, groups, goals, kept)
        return {at: _reckoned(values[at]) for at in goals}, raw

    def layer(
        self, leaves: Mapping[str, Tensor], groups: int, weight: Tensor, bias: Tensor, kept: Mapping[int, Tensor] | None
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """weight c(x) + bias for the value c(x), and the running moments, likewise."""
        values, raw = self._run(leaves, groups, (self.last,), kept)
        return _reckoned(_line(values[self.last]).times(weight).plus(bias)), raw

    def _run(
        self, leaves: Mapping[str, Tensor], groups: int, goals: tuple[int, ...], kept: Mapping[int, Tensor] | None
    ) -> tuple[dict[int, Tensor | _Line], dict[int, Tensor]]:
        kept = {} if kept is None else kept
        values: dict[int, Tensor | _Line] = {}
        raw: dict[int, Tensor] = {}
        firsts: dict[int, _Moments] = {}
        for at in self._order(goals, frozenset(kept)):
            step = self.steps[at]
            if step.does is not None:
                line = self._lined(step, values)
                if line is None:
                    values.update({read: _reckoned(values[read]) for read in step.reads})  # once for all that read it
                values[at] = step.does(*(values[read] for read in step.reads)) if line is None else line
            elif step.op is None:
                values[at] = leaves[step.name] if step.name in leaves else leaves["x"].new_zeros((1, 1, 1, 1))
            elif at in kept:
                values[at] = self._rooted(step.op, kept[at])
            else:
                assert step.over is not None
                (read,) = step.reads
                if read not in firsts:
                    values[read] = value = _reckoned(values[read])
                    firsts[read] = _Moments(value, centred=read in self._centred)
                moment = firsts[read].of(step.op, step.over, groups)
                if step.running:
                    raw[at] = moment
                values[at] = self._rooted(step.op, moment)
        return values, raw

    def _lined(self, step: Step, values: Mapping[int, Tensor | _Line]) -> _Line | None:
        """The node as a line over a map, where it is one of a map and of numbers a channel."""
        spatial = [read for read in step.reads if self.steps[read].spatial]
        if step.op not in _LINES or len(spatial) != 1 or (step.op is Op.DIV and step.reads[0] != spatial[0]):
            return None
        line = _line(values[spatial[0]])
        (other,) = (_reckoned(values[read]) for read in step.reads if read != spatial[0])
        if step.op is Op.ADD:
            return line.plus(other)
        assert step.does is not None
        return line.times(other if step.op is Op.MUL else step.does(torch.ones_like(other), other))

    def _rooted(self, op: Op, raw: Tensor) -> Tensor:
        return raw if op is Op.MEAN else (raw + self.eps).sqrt()

    def _order(self, goals: tuple[int, ...], kept: frozenset[int]) -> tuple[int, ...]:
        """The nodes to reckon for `goals`, in order."""
        if (goals, kept) not in self._orders:
            met: set[int] = set()
            rest = list(goals)
            while rest:
                at = rest.pop()
                if at not in met:
                    met.add(at)
                    rest += () if at in kept else self.steps[at].reads
            self._orders[goals, kept] = tuple(sorted(met))
        return self._orders[goals, kept]


_LINES = (Op.ADD, Op.MUL, Op.DIV)


class _Line(NamedTuple):
    """map * scale + shift, not reckoned yet; scale and shift vary from channel to channel and image to image at most."""

    map: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None

    def plus(self, other: Tensor) -> _Line:
        return _Line(self.map, self.scale, other if self.shift is None else self.shift + other)

    def times(self, other: Tensor) -> _Line:
        scale = other if self.scale is None else self.scale * other
        return _Line(self.map, scale, None if self.shift is None else self.shift * other)


def _line(value: Tensor | _Line) -> _Line:
    return value if isinstance(value, _Line) else _Line(value)


def _reckoned(value: Tensor | _Line) -> Tensor:
    if not isinstance(value, _Line):
        return value
    if value.scale is None:
        return value.map if value.shift is None else value.map + value.shift
    return value.map * value.scale if value.shift is None else torch.addcmul(value.shift, value.map, value.scale)


class _Moments:
    """The moments of one value, each from its mean and variance (or mean square) over the positions of an image's channel."""

    def __init__(self, value: Tensor, *, centred: bool) -> None:
        self._value, self._centred = value, centred
        # Not cached properties: their lock is nothing that a compiler of graphs knows.
        self._mean: Tensor | None = None
        self._variance: Tensor | None = None

    def _means(self) -> Tensor:
        if self._mean is None:
            self._mean = self._value.mean((2, 3), keepdim=True)
        return self._mean

    def _variances(self) -> Tensor:
        if self._variance is None:
            self._variance = (self._value - self._means()).square().mean((2, 3), keepdim=True)
        return self._variance

    def _squares(self) -> Tensor:
        if self._centred:
            return self._variances() + self._means().square()
        return self._value.square().mean((2, 3), keepdim=True)

    def of(self, op: Op, over: Over, groups: int) -> Tensor:
        """A moment before its root."""
        if op is not Op.STD:
            return _averaged(self._means() if op is Op.MEAN else self._squares(), over, groups)
        if over is Over.INSTANCE:
            return self._variances()
        apart = self._means() - _averaged(self._means(), over, groups)
        return _averaged(self._variances() + apart.square(), over, groups)


def _averaged(rows: Tensor, over: Over, groups: int) -> Tensor:
    """The mean of ⟨N,C,1,1⟩ over what an index set holds besides positions."""
    match over:
        case Over.BATCH:
            return rows.mean(0, keepdim=True)
        case Over.LAYER:
            return rows.mean(1, keepdim=True)
        case Over.GROUP if rows.shape[1] > 1:
            each = rows.shape[1] // groups
            grouped = rows.unflatten(1, (groups, each))
            return grouped.mean(2, keepdim=True).expand(-1, -1, each, -1, -1).flatten(1, 2)
        case _:
            return rows


# ---- primitives ------------------------------------------------------------------------------------------------------


def _step(node: Expression, numbers: Mapping[str, int], eps: float) -> Step:
    reads = tuple(numbers[arg.text] for arg in node.args)
    does = None if node.op is None or node.op.moment else _primitive(node, eps)
    if node.op is Op.MAX and "0" in (texts := [arg.text for arg in node.args]):
        reads, does = (reads[1 - texts.index("0")],), torch.relu
    by_channel = bool(node.args and node.args[0].support & CHANNELS)
    return Step(node.text, reads, does, node.op, node.over, node.running, by_channel, bool(node.support & SPACE))


def _primitive(node: Expression, eps: float) -> Callable[..., Tensor]:
    assert node.op is not None
    guarded = _GUARDED.get(node.op)
    if guarded is not None and least(node.args[-1], eps) < DELTA:
        return guarded
    return _FREE[node.op]


def _quotient(x: Tensor, y: Tensor) -> Tensor:
    return x / torch.where(y.abs() < DELTA, torch.where(y < 0, -DELTA, DELTA), y)


def _logarithm(x: Tensor) -> Tensor:
    return x.sign() * x.abs().clamp_min(DELTA).log()


def _root(x: Tensor) -> Tensor:
    return x.sign() * x.abs().clamp_min(DELTA).sqrt()


class _Larger(torch.autograd.Function):
    """The larger of two, whose gradient costs a third of torch's; of equals it is the second's, where torch halves it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        return torch.maximum(x, y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, y = ctx.saved_tensors
        first = grad * (x > y).to(grad.dtype)
        return first.sum_to_size(x.shape), (grad - first).sum_to_size(y.shape)


def _larger(x: Tensor, y: Tensor) -> Tensor:
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return torch.maximum(x, y)
    larger: Tensor = _Larger.apply(x, y)
    return larger


_FREE: Mapping[Op, Callable[..., Tensor]] = {
    Op.ADD: torch.add,
    Op.MUL: torch.mul,
    Op.DIV: torch.div,
    Op.MAX: _larger,
    Op.NEG: torch.neg,
    Op.ABS: torch.abs,
    Op.SQUARE: torch.square,
    Op.SIGMOID: torch.sigmoid,
    Op.TANH: torch.tanh,
    Op.EXP: torch.exp,
    Op.LOG: torch.log,
    Op.SQRT: torch.sqrt,
}
_GUARDED: Mapping[Op, Callable[..., Tensor]] = {Op.DIV: _quotient, Op.LOG: _logarithm, Op.SQRT: _root}
