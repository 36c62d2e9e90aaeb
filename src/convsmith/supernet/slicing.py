"""Where a child's weights lie in the biggest child's, and where they cannot.

A child's tensor is the part of the biggest's tensor of the same name that its shape names: the first channels of an axis,
the centre of a kernel. Blocks that a child lacks are the last of their stage, so their names are absent and nothing else
moves. Nothing here knows a block; it reads shapes of modules on the meta device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ..ambient import usual
from ..arch import ArchSpec, Node, Shape, Style, plan
from ..errors import UserError
from ..graphs import Over
from ..layers import EvoNormS, Ghost, GraphNorm2d, LambdaLayer
from ..model import Model
from .space import Genes, Space

__all__ = ["Cut", "blank", "blank_unit", "check", "cut", "cuts"]

# For each axis that is shortened: which, where the part begins, how long it is. Empty: the whole tensor.
Cut = tuple[tuple[int, int, int], ...]


def cut(tensor: Tensor, how: Cut) -> Tensor:
    """A view of a tensor's part, through which gradients reach it."""
    for axis, start, length in how:
        tensor = tensor.narrow(axis, start, length)
    return tensor


def cuts(child: nn.Module, whole: nn.Module) -> dict[str, Cut]:
    """For every parameter of `child` by name, the part of `whole`'s that it is.

    Raises:
        ValueError: a parameter that `whole` has not, or has smaller, or with another number of axes.
    """
    theirs = {name: parameter.shape for name, parameter in whole.named_parameters()}
    found: dict[str, Cut] = {}
    for name, parameter in child.named_parameters():
        if name not in theirs:
            raise ValueError(f"the biggest network has no {name}")
        ours, own = parameter.shape, theirs[name]
        if len(ours) != len(own) or any(a > b for a, b in zip(ours, own, strict=True)):
            raise ValueError(f"{name} is {tuple(ours)}, which is no part of the biggest network's {tuple(own)}")
        found[name] = tuple(
            # The last two of four axes are a kernel's, whose centre is kept; channels are kept from the first on.
            (axis, (long - short) // 2 if len(own) == 4 and axis >= 2 else 0, short)
            for axis, (short, long) in enumerate(zip(ours, own, strict=True))
            if short != long
        )
    return found


def blank(spec: ArchSpec) -> Model:
    """The network of `spec` as shapes without storage; nothing is initialised, which took most of the time."""
    with usual(), torch.device("meta"), _Uninitialised():  # type: ignore[no-untyped-call]
        return Model(spec)


def blank_unit(node: Node, style: Style) -> nn.Module:
    """One unit of a plan, likewise."""
    with usual(), torch.device("meta"), _Uninitialised():  # type: ignore[no-untyped-call]
        return node.part.build(node, style)


class _Uninitialised(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers what writes in place into a tensor without storage by that tensor."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = args[0] if args else None
        name = func.overloadpacket.__name__
        if isinstance(first, Tensor) and first.is_meta and name.endswith("_") and not name.startswith("resize"):
            return first
        return func(*args, **(kwargs or {}))


# ---- soundness -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def check(space: Space) -> None:
    """Refuse a space in which some child is no part of the biggest.

    Looks at every unit with every combination of values that reach it, which is every child: a unit depends on nothing
    else.

    Raises:
        UserError: naming the unit, what about it cannot be shared, and what to do.
    """
    biggest = space.biggest()
    if biggest.input.frames:
        raise UserError(
            f"{space.base.name} reads clips: supernets are of networks for pictures. Search one of these, and `inflated` makes "
            "a network for clips of what is found"
        )
    for node in plan(biggest):
        whole = blank_unit(node, biggest.style)
        for variant in dict.fromkeys(_variants(space, node)):
            child = blank_unit(variant, biggest.style)
            try:
                cuts(child, whole)
                reason = _unsound(child, whole)
            except ValueError as error:
                reason = str(error)
            if reason:
                raise UserError(
                    f"{space.base.name}: {node.path} cannot share weights at width {variant.c_in} to {variant.c_out}, "
                    f"{variant.part.describe()}: {reason}. Fix that axis to one value, or choose another part"
                )


def _variants(space: Space, node: Node) -> Iterator[Node]:
    """The unit as every child may have it."""
    axes = {axis.name: axis.values for axis in space.axes}
    if node.path.startswith("stages."):
        yield from _blocks(space, node, axes)
        return
    # A stem, or a unit of a neck or a head: whichever widths reach it.
    names = [name for name in axes if name in ("stem", "head") or name.endswith(".width")]
    names = [name for name in names if _at(space, node.path, {name: axes[name][0]}) != node]
    for values in product(*(axes[name] for name in names)):
        yield _at(space, node.path, dict(zip(names, values, strict=True)))


def _blocks(space: Space, node: Node, axes: dict[str, Genes]) -> Iterator[Node]:
    index, repeat = (int(number) for number in node.path.split(".")[1:])
    own = [f"stages.{index}.{name}" for name in ("width", "kernel", "expand")]
    before = axes[f"stages.{index - 1}.width" if index else "stem"]
    for values in product(*(axes[name] for name in own)):
        part = _changed(space, dict(zip(own, values, strict=True))).stages[index].block
        for c_in in (values[0],) if repeat else before:
            for resolution in axes["resolution"] if part.choices.mixer is not None else axes["resolution"][-1:]:
                sides = tuple(-(-side * int(resolution) // int(axes["resolution"][-1])) for side in node.sides)
                entering = Shape(int(c_in), sides)
                yield replace(node, part=part, ins=(entering,), outs=(entering.strided(node.stride, int(values[0])),))


def _at(space: Space, path: str, values: dict[str, float]) -> Node:
    return next(node for node in plan(_changed(space, values)) if node.path == path)


def _changed(space: Space, values: dict[str, float]) -> ArchSpec:
    """The biggest child with other values on the axes named."""
    return space.spec([values.get(axis.name, axis.values[-1]) for axis in space.axes])


def _unsound(child: nn.Module, whole: nn.Module) -> str:
    """Why the first channels of `whole` would not mean in `child` what they mean in it; "" where they do."""
    theirs = dict(whole.named_modules())
    for name, ours in child.named_modules():
        own = theirs.get(name)
        if not list(ours.parameters(recurse=False)) and not isinstance(ours, (Ghost, LambdaLayer)):
            continue
        if own is None or type(ours) is not type(own):
            return f"{name} is a {type(ours).__name__} in the child and a {type(own).__name__} in the biggest"
        reason = _different(ours, own)
        if reason:
            return f"{name} {reason}"
    return ""


def _different(ours: nn.Module, own: nn.Module) -> str:
    match ours, own:
        case nn.Conv2d(), nn.Conv2d() if max(ours.groups, own.groups) > 1:
            a, b = _grouped(ours), _grouped(own)
            return (
                ""
                if a == b
                else f"has groups of {a[0]} to {a[1]} channels in the child, {b[0]} to {b[1]} in the biggest"
            )
        case nn.GroupNorm(), nn.GroupNorm():
            return _groups(ours.num_channels, ours.num_groups, own.num_channels, own.num_groups)
        case EvoNormS(), EvoNormS():
            return _groups(len(ours.weight), ours.groups, len(own.weight), own.groups)
        case GraphNorm2d(), GraphNorm2d():
            return _moments(ours, own)
        case LambdaLayer(), LambdaLayer() if _shapes(ours) != _shapes(own):
            return "is a lambda layer, whose queries interleave its heads and whose values are a share of the width"
        case Ghost(), Ghost() if ours.channels != own.channels:
            return "joins two halves, so the first channels of a wider one are not those of a narrower one"
    return ""


def _grouped(conv: nn.Conv2d) -> tuple[int, int]:
    return conv.in_channels // conv.groups, conv.out_channels // conv.groups


def _groups(channels: int, groups: int, whole_channels: int, whole_groups: int) -> str:
    """Statistics of a group mean the same if it holds as many channels in both, or all of them."""
    ours, own = channels // groups, whole_channels // whole_groups
    if ours == own or groups == whole_groups == 1:
        return ""
    return f"normalises groups of {ours} channels in the child and of {own} in the biggest"


def _moments(ours: GraphNorm2d, own: GraphNorm2d) -> str:
    """A moment over all channels is one of all channels in both, as it is of group norm with one group."""
    if Over.GROUP not in {node.over for node in ours.graph.expression.nodes()}:
        return ""
    return _groups(len(ours.weight), ours.groups, len(own.weight), own.groups)


def _shapes(module: nn.Module) -> list[torch.Size]:
    return [parameter.shape for parameter in module.parameters()]
