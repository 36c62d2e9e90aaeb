"""The kernels that a runtime would launch for a spec: what a prediction of time adds up.

Read off the modules, as costs are: each unit is run once on the meta device and its operations are noted. A batch norm,
activation or addition behind a convolution is noted as such, because most runtimes fold it or compute it while they write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..arch import ArchSpec, Node, Style, drawn, plan
from ..errors import UserError

__all__ = ["CLONE", "LAID_OUT", "PERMUTED", "VIEWED", "Kernel", "kernels"]

PERMUTED, CLONE, LAID_OUT, VIEWED = "permuted", "clone", "laid out", "viewed"


@dataclass(frozen=True, slots=True)
class Kernel:
    """One operation on one image.

    `kind` is `conv`, `dilated`, `transposed` or the operation's name, with `+` before what follows a convolution directly.
    `shape` is that of a convolution: (channels in, channels out, kernel, stride, groups, rows out, columns out), empty for
    others; of a transposed one that of the plain one with as many multiply-adds, on the map that enters; of one over several
    maps at once, as of a lambda layer's values, that over all of them one below the other. `written` and `read` count numbers
    of maps, `weights` those of weights that are read.

    Four kinds are no arithmetic: `viewed` is a view, which is a launch in a runtime that has none, `permuted` one in another
    order or a part, which there is a copy, `clone` a copy that torch makes, and `laid out` what changes between the blocked
    layout of convolutions and the plain one.
    """

    kind: str
    written: int
    read: int
    shape: tuple[int, ...] = ()
    macs: int = 0
    weights: int = 0


def kernels(spec: ArchSpec) -> Mapping[Kernel, int]:
    """Each kernel of `spec` and how often it is launched for one image.

    Raises:
        UserError: a network whose time is not that of its launches one by one: it runs a unit on many regions at once.
    """
    return _all(replace(spec, name=""))


@lru_cache(maxsize=4096)
def _all(spec: ArchSpec) -> Mapping[Kernel, int]:
    if spec.input.frames:
        raise UserError(
            f"{spec.name} reads clips, whose convolutions no calibration here knows the time of: measure the network instead"
        )
    style, total = replace(spec.style, drop_path=0.0), Counter[Kernel]()
    for node in plan(spec):
        if node.times == 0:
            continue
        if node.times != 1:
            raise UserError(
                f"{node.path} runs {node.times} times for one image, all at once, which no calibration here knows the time "
                "of: measure the network instead"
            )
        total.update(_of(Node("", node.part, node.ins, node.outs, stride=node.stride), style))
    return MappingProxyType(total)


@lru_cache(maxsize=65536)
def _of(node: Node, style: Style) -> Mapping[Kernel, int]:
    with torch.device("meta"):
        module = node.part.build(node, style).eval()
        maps = drawn(node.ins, 1, None)
    noted = _Noted(maps)
    with torch.no_grad(), noted:
        out = module(*maps)
    noted.finish(*(leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)))
    return Counter(noted.found)


# fmt: off
_VIEWS = frozenset((
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "expand", "slice", "select", "split", "split_with_sizes",
    "unsqueeze", "squeeze", "flatten", "alias", "detach", "as_strided", "unbind", "unfold", "narrow", "empty_like", "clone",
    "_to_copy", "chunk",
))
# Of those, what a runtime writes anew, and as what it is noted.
_COPIES = dict.fromkeys(("permute", "transpose", "t", "slice", "select", "narrow"), PERMUTED) | {"clone": CLONE}
# Of those, what no runtime does anything for.
_NOTHING = frozenset(("alias", "detach", "empty_like", "_to_copy", "expand"))
# What onnxruntime does in the layout of its convolutions, where all that it reads are maps of one size in it.
_BLOCKED = frozenset((
    "relu", "hardtanh", "sigmoid", "silu", "tanh", "add", "mul", "cat", "max_pool2d_with_indices", "avg_pool2d",
))
_BLOCK = 8  # channels in a block of that layout, or 16
# fmt: on
_NORMS = frozenset(["native_batch_norm", "_native_batch_norm_legit_no_training", "_batch_norm_no_update"])


@dataclass(frozen=True)
class _Map:
    """A map that was met, kept alive so that no identity is used twice: whether a convolution wrote it, and whether it was
    written in the layout of convolutions."""

    tensor: Tensor
    follows: bool
    blocked: bool

    @property
    def wide(self) -> bool:
        """Whether it has a layout that matters: of one pixel both are the same."""
        return self.tensor.ndim > 2 and max(self.tensor.shape[2:]) > 1


class _Noted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation on what derives from `maps`; what is done to weights alone is done before a run."""

    def __init__(self, maps: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Kernel] = []
        # A unit is taken to be given maps in the layout of convolutions, and is asked for such.
        self._maps = {id(one): _Map(one, False, one.ndim > 2) for one in maps}
        self._in_both: set[int] = set()  # layouts: those that were laid out anew

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        maps = [leaf for leaf in given if id(leaf) in self._maps]
        if not maps:
            return out
        name = func.overloadpacket.__name__.rstrip("_")
        known = [self._maps[id(one)] for one in maps]
        behind = any(one.follows for one in known)
        written = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor) and leaf.numel()]
        weights = sum(one.numel() for one in given if id(one) not in self._maps)
        blocked = self._laid_out(name, known, written, weights)
        if name not in _VIEWS:
            kind = "norm" if name in _NORMS else name
            self.found.append(self._kernel(kind, args, maps, written[0], behind, weights))
        elif name not in _NOTHING:
            self.found.append(Kernel(_COPIES.get(name, VIEWED), written[0].numel(), written[0].numel()))
        follows = name == "convolution" or (behind and (name in _NORMS or name in _VIEWS or name == "add"))
        self._maps |= {id(tensor): _Map(tensor, follows, blocked and tensor.ndim > 2) for tensor in written}
        return out

    def _laid_out(self, name: str, known: list[_Map], written: list[Tensor], weights: int) -> bool:
        """Whether what is written is in the layout of convolutions; what changes layout for it is noted.

        A convolution asks for its layout; what can work in it does where all it reads is in it; the rest asks for the plain one.
        """
        if name in _VIEWS:
            kept = name not in _COPIES and all(one.ndim == known[0].tensor.ndim for one in written)
            self._relaid(one for one in known[:1] if one.wide and one.blocked and not kept)
            return known[0].blocked and kept
        maps = [one for one in known if one.wide]
        alike = len({one.tensor.shape for one in known}) == 1 or name == "cat"
        able = name in _BLOCKED and not weights and alike and all(one.blocked for one in maps)
        if name == "cat":
            able &= all(one.tensor.shape[1] % _BLOCK == 0 for one in known)
        wanted = name == "convolution" or able or (name in _NORMS and known[0].follows)
        self._relaid(one for one in maps if one.blocked is not wanted)
        return wanted

    def _relaid(self, maps: Iterable[_Map]) -> None:
        anew = {id(one.tensor): one.tensor.numel() for one in maps if id(one.tensor) not in self._in_both}
        self._in_both |= anew.keys()
        self.found += [Kernel(LAID_OUT, size, size) for size in anew.values()]

    def finish(self, *outs: Tensor) -> None:
        """Note what the next unit is given in another layout than it asks for."""
        left = (self._maps[id(out)] for out in outs if id(out) in self._maps)
        self._relaid(one for one in left if one.wide and not one.blocked)

    @staticmethod
    def _kernel(name: str, args: Any, maps: list[Tensor], out: Tensor, behind: bool, weights: int) -> Kernel:
        read = sum(tensor.numel() for tensor in maps)
        if name == "convolution":
            entering, weight, stride, dilation, transposed, groups = (
                args[0],
                args[1],
                args[3],
                args[5],
                args[6],
                args[8],
            )
            if transposed:
                shape = (entering.shape[1], out.shape[1], weight.shape[2], 1, groups, *_stacked(entering))
                return Kernel("transposed", out.numel(), read, shape, entering.numel() * weight[0].numel(), weights)
            shape = (entering.shape[1], weight.shape[0], weight.shape[2], stride[0], groups, *_stacked(out))
            kind = "conv" if max(dilation) == 1 else "dilated"
            return Kernel(kind, out.numel(), read, shape, out.numel() * weight[0].numel(), weights)
        if name in ("addmm", "mm", "bmm", "baddbmm"):
            inner = args[0 if name != "addmm" else 1].shape[-1]
            return Kernel("product", out.numel(), read, (), out.numel() * inner, weights)
        return Kernel(("+" if behind else "") + name, out.numel(), read, weights=weights)


def _stacked(maps: Tensor) -> tuple[int, ...]:
    """Rows and columns of all these maps, one below the other."""
    many, _, rows, *columns = maps.shape
    return (many * rows, *columns)
