"""What a spec costs, read off its own modules.

Each unit of the plan is built on the meta device, which has shapes and no storage, and run once under a counter of
tensor operations. There is no second copy of any forward that could drift from the first. A unit's cost depends on its
part, shapes, stride and style only, so it is remembered by these: a seen spec costs microseconds.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from .ambient import usual
from .arch import ArchSpec, Node, Style, drawn, plan
from .units import Cost

__all__ = ["cost", "node_cost", "node_costs", "operations"]


@lru_cache(maxsize=65536)
def cost(spec: ArchSpec) -> Cost:
    """Multiply-adds, trainable parameters and activations of one image through `spec`.

    >>> import convsmith as cs
    >>> cs.cost(cs.spec("efficientnet_b0"))
    Cost(macs=385814752, params=5288548, activations=6748036)
    """
    return sum(node_costs(spec), Cost())


def node_costs(spec: ArchSpec) -> tuple[Cost, ...]:
    """The cost of each unit of `plan(spec)` for one image, in its order: of all the times that it runs."""
    # Dropped paths and scales cost nothing, so two places that differ only in these share an entry.
    style = replace(spec.style, drop_path=0.0)
    return tuple(_repeated(node_cost(_anywhere(node), style), node.times) for node in plan(spec))


def _anywhere(node: Node) -> Node:
    """The node without what its cost does not depend on."""
    where = (node.part, node.ins, node.outs)
    return Node("", *where, stride=node.stride, temporal=node.temporal, over=node.over, last=node.last)


def _repeated(once: Cost, times: int) -> Cost:
    return once if times == 1 else Cost(once.macs * times, once.params, once.activations * times)


@lru_cache(maxsize=65536)
def node_cost(node: Node, style: Style) -> Cost:
    """The cost of one unit, run once, measured on the meta device."""
    with usual(), torch.device("meta"), _Blank():
        module = node.part.build(node, style)
        return _counted(module.eval(), *drawn(node.ins, 1, None))


def operations(module: nn.Module, *inputs: Tensor) -> Cost:
    """The cost of any module on `inputs`, which are one image's: MACs and activations of one evaluation, all parameters.

    Counts convolutions, linear layers and matrix products, whichever module they hide in.
    """
    training = module.training
    try:
        return _counted(module.eval(), *inputs)
    finally:
        module.train(training)


def _counted(module: nn.Module, *inputs: Tensor) -> Cost:
    counter = _Counter()
    with torch.inference_mode(False), torch.no_grad(), counter:  # in inference mode convolutions are not seen
        module(*inputs)
    params = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    return Cost(counter.macs, params, counter.activations)


class _Blank(TorchFunctionMode):
    """Builds modules on the meta device without initialising them: where there is no storage there is nothing to write."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and _writes(func.__name__):
            return args[0]
        return func(*args, **(kwargs or {}))


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the multiply-adds and outputs of every operation torch knows a count for.

    On the meta device only shapes matter, so what need not be run to know its shape is not: what writes in place or works
    element by element is answered with the argument of that shape, a norm with its input, a mean with a sum. Running
    torch's Python versions of these took most of the time, and the first of them imports torch's compiler.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0
        self.activations = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to be left out of compilation, a mode would import the compiler first

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = _by_shape(func, args, kwargs) if args and isinstance(args[0], Tensor) and args[0].is_meta else None
        out = func(*args, **kwargs) if out is None else out
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.macs += _flops(formula, args, kwargs, out) // 2  # torch counts a multiply and an add as two
            self.activations += out.numel()
        return out


def _flops(formula: Any, args: Any, kwargs: Any, out: Tensor) -> int:
    by_shapes = inspect.unwrap(formula)
    if by_shapes is formula:
        return int(formula(*args, **kwargs, out_val=out))
    # torch's wrapper replaces tensors by shapes wherever they may be nested, which takes longer than to count.
    shapes = (one.shape if isinstance(one, Tensor) else one for one in args)
    return int(by_shapes(*shapes, **kwargs, out_shape=out.shape))


def _by_shape(func: Any, args: Any, kwargs: Any) -> Any:
    """Something of the shape that the operation puts out, made without running it; None where that is not known."""
    if _writes(func.overloadpacket.__name__):
        return args[0]
    if torch.Tag.pointwise in func.tags:
        return _broadcast([one for one in args if isinstance(one, Tensor)])
    if func in _NORMS and args[0].is_contiguous():
        return args[0], args[0], args[0]  # an evaluation reads none but the first
    if func is aten.mean.dim:
        return aten.sum.dim_IntList(*args, **kwargs)
    if func is aten.addmm.default:
        return aten.mm.default(*args[1:3])
    return None


def _writes(name: str) -> bool:
    """Whether a function of that name writes into its first argument and leaves its shape alone."""
    return name.endswith("_") and not name.endswith("__") and name not in _NO_WRITES


def _broadcast(tensors: list[Tensor]) -> Tensor | None:
    """The one of these tensors whose shape all of them broadcast to, if there is one."""
    first, *others = (one.shape for one in tensors)
    shape = first if all(other == first for other in others) else torch.broadcast_shapes(first, *others)  # type: ignore[no-untyped-call]
    # What was expanded or permuted comes out of the operation laid out anew, which a later view may need.
    return next((one for one in tensors if one.shape == shape and one.is_contiguous()), None)


aten = torch.ops.aten
_NO_WRITES = frozenset({"requires_grad_", "resize_", "set_", "squeeze_", "t_", "transpose_", "unsqueeze_"})
_NORMS = frozenset(
    {
        aten.native_batch_norm.default,
        aten._native_batch_norm_legit_no_training.default,
        aten.native_group_norm.default,
        aten.native_layer_norm.default,
    }
)
