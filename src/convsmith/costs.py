"""What a spec costs, read off its own modules.

Each unit of the plan is built on the meta device, which has shapes and no storage, and run once under a counter of
tensor operations. There is no second copy of any forward that could drift from the first. A unit's cost depends on its
part, widths, stride, side and style only, so it is remembered by these: a seen spec costs microseconds.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from .arch import ArchSpec, Style
from .plans import Node, plan
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
    """The cost of each unit of `plan(spec)`, in its order."""
    # Dropped paths and scales cost nothing, so two places that differ only in these share an entry.
    style = replace(spec.style, drop_path=0.0)
    return tuple(node_cost(replace(node, path="", drop_path=0.0, variance=1.0), style) for node in plan(spec))


@lru_cache(maxsize=65536)
def node_cost(node: Node, style: Style) -> Cost:
    """The cost of one unit, measured on the meta device."""
    with torch.device("meta"), _Counter():  # without storage there is nothing to initialise: see _Counter
        module = node.part.build(node, style)
    return operations(module, torch.empty(1, node.c_in, node.size, node.size, device="meta"))


def operations(module: nn.Module, *inputs: Tensor) -> Cost:
    """The cost of any module on `inputs`, which are one image's: MACs and activations of one evaluation, all parameters.

    Counts convolutions, linear layers and matrix products, whichever module they hide in.
    """
    training = module.training
    counter = _Counter()
    try:
        with torch.no_grad(), counter:
            module.eval()(*inputs)
    finally:
        module.train(training)
    params = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    return Cost(counter.macs, params, counter.activations)


_KEEPS_SHAPE = frozenset(
    {torch.ops.aten.native_batch_norm.default, torch.ops.aten._native_batch_norm_legit_no_training.default}
)
_RESIZES = frozenset(
    {torch.ops.aten.resize_.default, torch.ops.aten.unsqueeze_.default, torch.ops.aten.squeeze_.default}
)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the multiply-adds and outputs of every operation torch knows a count for.

    On the meta device only shapes matter, so operations that keep them are answered without being run: what writes in
    place, and batch normalisation. Running torch's Python versions of these took four fifths of the time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0
        self.activations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = args[0] if args else None
        if isinstance(first, Tensor) and first.is_meta:
            if func in _KEEPS_SHAPE:
                return torch.empty_like(first), first.new_empty(0), first.new_empty(0)
            if func.overloadpacket.__name__.endswith("_") and func not in _RESIZES:
                return first
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            # torch counts a multiply and an add as two; the registry's functions read shapes from the tensors.
            self.macs += count(*args, **(kwargs or {}), out_val=out) // 2
            self.activations += out.numel()
        return out
