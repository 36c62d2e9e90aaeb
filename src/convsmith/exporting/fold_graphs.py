"""The affine part of a graph norm, split off as a batch norm that folds into the convolution before it."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..graphs import Expression, NormGraph, Op
from ..graphs.bounds import DELTA
from ..graphs.simplify import simplified
from ..layers import GraphNorm2d

__all__ = ["split_graphs"]

Affine = tuple[Tensor, Tensor]  # a and b of a x + b, each ⟨1,C,1,1⟩ or of fewer channels


@torch.no_grad()
def split_graphs(model: nn.Module) -> nn.Module:
    """An eval-mode copy of `model` whose graph norms read x by one expression a x + b, where they can.

    In evaluation a batch's moments are constants, so (x - mean) / std * v1 + v0 is such an expression. Where every way from x
    to what a layer puts out leads through the same one, and what is behind it reads no moment of the batch, the layer becomes a
    batch norm that says it and the graph of the rest. Others stay: EvoNorm-B reads x twice, and by the moments of the image.
    """
    split = copy.deepcopy(model).eval()
    for name, module in list(split.named_modules()):
        if isinstance(module, GraphNorm2d) and (made := _split(module)) is not None:
            split.set_submodule(name, made)
    return split


def _split(norm: GraphNorm2d) -> nn.Module | None:
    constants = norm.constants()
    affine = _Affine(constants)
    entering = affine.entering(norm.graph.expression)
    if entering is None or entering.op is None:
        return None
    found = affine.of(entering)
    assert found is not None
    channels = len(norm.weight)
    scale, shift = (one.expand(1, channels, 1, 1).flatten().to(norm.weight.dtype) for one in found)
    rest = _without(norm.graph.expression, entering)
    if rest.op is None:  # all of it: gamma and beta too
        return _batch_norm(scale * norm.weight, shift * norm.weight + norm.bias)
    after = GraphNorm2d(NormGraph.of(rest), channels, groups=norm.groups, eps=norm.program.eps).to(norm.weight)
    own = dict(norm.named_parameters())
    for name, parameter in after.named_parameters():
        parameter.copy_(own[name])
    return nn.Sequential(_batch_norm(scale, shift), after.eval())


def _batch_norm(scale: Tensor, shift: Tensor) -> nn.BatchNorm2d:
    """scale x + shift."""
    norm = nn.BatchNorm2d(len(scale), eps=0.0).to(scale).eval()
    norm.weight.copy_(scale)
    norm.bias.copy_(shift)
    return norm


def _without(node: Expression, entering: Expression) -> Expression:
    """The expression with x in the place of `entering`."""
    if node == entering:
        return Expression.leaf("x")
    if node.op is None:
        return node
    return simplified(node.op, tuple(_without(arg, entering) for arg in node.args), node.over)


class _Affine:
    """Which expressions are a x + b, where those in `constants`, by text, do not depend on x."""

    def __init__(self, constants: dict[str, Tensor]) -> None:
        self._constants = constants

    def of(self, node: Expression) -> Affine | None:
        """a and b; None where it is no such expression."""
        if node.text in self._constants:
            value = self._constants[node.text]
            return torch.zeros_like(value), value
        if node.text == "x":
            one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
            return one, torch.zeros_like(one)
        terms = [self.of(arg) for arg in node.args]
        rule = _RULES.get(node.op) if node.op is not None else None
        if rule is None or any(term is None for term in terms):
            return None
        return rule(*terms)

    def entering(self, node: Expression) -> Expression | None:
        """The largest such expression that x enters by, where there is one alone and no moment of the batch is read behind it."""
        found = {one.text: one for one in self._all(node)}
        if len(found) != 1:
            return None
        (only,) = found.values()
        return None if only is not None and self._read_behind(node, only) else only

    def _all(self, node: Expression) -> list[Expression]:
        if node.text in self._constants:
            return []
        if self.of(node) is not None:
            return [node]
        return [one for arg in node.args for one in self._all(arg)]

    def _read_behind(self, node: Expression, entering: Expression) -> bool:
        return node != entering and (node.running or any(self._read_behind(arg, entering) for arg in node.args))


def _mul(one: Affine, two: Affine) -> Affine | None:
    if bool(one[0].any()):
        one, two = two, one
    return None if bool(one[0].any()) else (one[1] * two[0], one[1] * two[1])


def _div(one: Affine, two: Affine) -> Affine | None:
    if bool(two[0].any()):
        return None
    y = two[1]
    y = torch.where(y.abs() < DELTA, torch.where(y < 0, -DELTA, DELTA), y)
    return one[0] / y, one[1] / y


_RULES: dict[Op, Callable[..., Affine | None]] = {
    Op.ADD: lambda one, two: (one[0] + two[0], one[1] + two[1]),
    Op.NEG: lambda one: (-one[0], -one[1]),
    Op.MUL: _mul,
    Op.DIV: _div,
}
