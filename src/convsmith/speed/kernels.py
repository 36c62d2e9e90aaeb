"""The kernels that a runtime would launch for a spec: what a prediction of time adds up.

Read off the modules, as costs are: each unit is run once on the meta device and its operations are noted. A batch norm,
activation or addition behind a convolution is noted as such, because most runtimes fold it or compute it while they write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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

__all__ = ["Kernel", "kernels"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """One operation on one image.

    `kind` is `conv`, `dilated`, `transposed` or the operation's name, with `+` before what follows a convolution directly.
    `shape` is that of a convolution: (channels in, channels out, kernel, stride, groups, rows out, columns out), empty for
    others; of a transposed one that of the plain one with as many multiply-adds, on the map that enters. `written` and
    `read` count numbers of maps, not of weights.
    """

    kind: str
    written: int
    read: int
    shape: tuple[int, ...] = ()
    macs: int = 0


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
        module(*maps)
    return Counter(noted.found)


# fmt: off
_VIEWS = frozenset((
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "expand", "slice", "select", "split", "split_with_sizes",
    "unsqueeze", "squeeze", "flatten", "alias", "detach", "as_strided", "unbind", "unfold", "narrow", "empty_like", "clone",
    "_to_copy", "chunk",
))
# fmt: on
_NORMS = frozenset(["native_batch_norm", "_native_batch_norm_legit_no_training", "_batch_norm_no_update"])


class _Noted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation on what derives from `maps`; what is done to weights alone is done before a run."""

    def __init__(self, maps: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Kernel] = []
        # By identity, and kept alive, so that no identity is used twice. The flag: written by a convolution.
        self._maps: dict[int, tuple[Tensor, bool]] = {id(one): (one, False) for one in maps}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        maps = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and id(leaf) in self._maps]
        if not maps:
            return out
        name = func.overloadpacket.__name__.rstrip("_")
        behind = any(self._maps[id(tensor)][1] for tensor in maps)
        written = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor) and leaf.numel()]
        if name not in _VIEWS:
            self.found.append(self._kernel("norm" if name in _NORMS else name, args, maps, written[0], behind))
        follows = name == "convolution" or (behind and (name in _NORMS or name in _VIEWS or name == "add"))
        self._maps |= {id(tensor): (tensor, follows) for tensor in written}
        return out

    @staticmethod
    def _kernel(name: str, args: Any, maps: list[Tensor], out: Tensor, behind: bool) -> Kernel:
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
                shape = (entering.shape[1], out.shape[1], weight.shape[2], 1, groups, *entering.shape[2:])
                return Kernel("transposed", out.numel(), read, shape, entering.numel() * weight[0].numel())
            shape = (entering.shape[1], weight.shape[0], weight.shape[2], stride[0], groups, *out.shape[2:])
            kind = "conv" if max(dilation) == 1 else "dilated"
            return Kernel(kind, out.numel(), read, shape, out.numel() * weight[0].numel())
        if name in ("addmm", "mm", "bmm", "baddbmm"):
            inner = args[0 if name != "addmm" else 1].shape[-1]
            return Kernel("product", out.numel(), read, (), out.numel() * inner)
        return Kernel(("+" if behind else "") + name, out.numel(), read)
