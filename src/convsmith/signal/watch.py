"""Watches one pass through any module: which maps are added up, and what every convolution does to the signal.

No layout or naming of modules is assumed. The operations are seen as torch dispatches them, so a residual merge is found
wherever two maps are added; module names only say where. The branch of a merge is the operand behind more convolutions.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from .moments import Moments, moments

__all__ = ["Activated", "Convolved", "Merged", "Normed", "Pooled", "Seen", "watch"]

_aten = torch.ops.aten
_NORMS = {
    _aten.native_batch_norm.default: 7,
    _aten._native_batch_norm_legit.default: 7,
    _aten._native_batch_norm_legit_no_training.default: 6,
    _aten._batch_norm_with_update.default: 6,
    _aten._batch_norm_no_update.default: 6,
    _aten.native_group_norm.default: 7,
    _aten.native_layer_norm.default: 4,
}  # with the place of eps
# timm's norms that are made of other operations or have kernels of their own. Ours say of themselves that they are `whole_norm`s.
_FOREIGN = ("EvoNorm", "FilterResponseNorm")
# fmt: off
_ACTIVATIONS = frozenset((
    "relu", "relu_", "silu", "silu_", "gelu", "hardtanh", "hardtanh_", "hardswish", "hardswish_", "sigmoid", "sigmoid_",
    "hardsigmoid", "hardsigmoid_", "tanh", "tanh_", "elu", "elu_", "leaky_relu", "leaky_relu_", "mish", "softplus",
    "_prelu_kernel",
))
# fmt: on


@dataclass(frozen=True)
class Merged:
    """A residual merge: what enters the skip's side, what the branch adds, and what comes out. `branch` is before the
    scalar factor that it is added with, `factor`; None where both operands are behind equally many convolutions."""

    path: str
    out: Moments
    branch: Moments | None
    factor: float
    branch_conv: str  # the last convolution on the branch's way, and on the skip's since the merge before; "" for none
    skip_conv: str
    skip_pooled: float  # the variance kept by average pools on the way of the skip alone; 1 without any
    channels: int
    side: int


@dataclass(frozen=True)
class Convolved:
    """A convolution: the map before its input's activation (None where none stands between it and another convolution),
    its input and output, and the filters as they are used."""

    path: str
    before: Moments | None
    act: str
    into: Moments
    out: Moments
    fan_in: int
    kernel: int
    depthwise: bool
    standardised: bool  # the filters used are not the parameter itself
    energy: float  # mean over filters of the sum of squares
    lean: float  # mean over filters of |sum| / sqrt(N energy): 1 where all weights of a filter are equal
    raw_var: float  # variance of the parameter's filters, which the guard of a standardisation is added to
    padded: bool
    sides: tuple[int, ...]  # of what it puts out

    @property
    def side(self) -> int:
        """The shorter one."""
        return min(self.sides)


@dataclass(frozen=True)
class Normed:
    """A normalisation: what entered, and its epsilon."""

    path: str
    into: Moments
    eps: float


@dataclass(frozen=True)
class Activated:
    """An activation: the share of channels that it puts out constant, whether no variance at all entered, and the last
    convolution before it."""

    path: str
    act: str
    constant: float
    side: int
    silent: bool
    conv: str


@dataclass(frozen=True)
class Pooled:
    """An average pool that halves a map: the share of the variance that it keeps."""

    path: str
    kept: float


Event = Merged | Convolved | Normed | Activated | Pooled


@dataclass(frozen=True)
class Seen:
    """Everything that one pass showed, in order, and what entered the module of the first merge."""

    events: tuple[Event, ...]
    stem: Moments | None
    broken: str | None  # the first place that put out a number that is not finite


@dataclass
class _Map:
    """What is known of a tensor on its way: how many convolutions it is behind, and since the last of them what happened."""

    convs: int = 0
    act: str = ""
    before: Moments | None = None  # of the activation's input
    fresh: Moments | None = None  # out of a convolution or norm, and untouched since
    scale: float = 1.0
    pooled: float = 1.0
    conv: str = ""  # the last convolution since the merge before


@torch.no_grad()
def watch(module: nn.Module, images: Tensor, *, stem: str | None = None) -> Seen:
    """One pass of `images` through `module` as it stands. `stem` names the module whose input is point 0 of a plot."""
    names = {id(child): name for name, child in module.named_modules()}
    eye = _Watch(images, {_whole(parameter) for parameter in module.parameters()})
    entered: list[Moments] = []
    with ExitStack() as stack:
        for child in module.modules():
            if child is not module:
                name = names[id(child)]
                before = child.register_forward_pre_hook(
                    lambda child, args, name=name: eye.enter(name, child, args, stem, entered)
                )
                after = child.register_forward_hook(lambda *_: eye.leave(), always_call=True)
                stack.callback(before.remove)
                stack.callback(after.remove)
        stack.enter_context(eye)
        module(images)
    return Seen(tuple(eye.events), entered[0] if entered else None, eye.broken)


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, images: Tensor, parameters: set[tuple[int, int]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.events: list[Event] = []
        self.broken: str | None = None
        self._maps = WeakTensorKeyDictionary()
        self._maps[images] = _Map()
        self._parameters = parameters
        self._within: list[tuple[str, nn.Module]] = []

    # ---- where we are --------------------------------------------------------------------------------------------
    def enter(self, name: str, module: nn.Module, args: Any, stem: str | None, entered: list[Moments]) -> None:
        self._within.append((name, module))
        if _whole_norm(module) and args and isinstance(args[0], Tensor):
            self.events.append(Normed(name, moments(args[0]), 0.0))
        if name == stem and not entered and args and isinstance(args[0], Tensor):
            entered.append(moments(args[0]))

    def leave(self) -> None:
        self._within.pop()

    @property
    def path(self) -> str:
        return self._within[-1][0] if self._within else ""

    # ---- what happens --------------------------------------------------------------------------------------------
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf in self._maps]
        known = [self._maps[tensor] for tensor in read]
        # Of what is overwritten, the moments are taken first.
        merge = self._merging(func, args, kwargs) if known else None
        before = self._before(name, args, known)
        out = func(*args, **kwargs)
        if not known:
            return out
        made = next((leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)), None)
        if made is None or not made.is_floating_point():
            return out
        # Of a map and its gate, the map; of two maps, the one behind more convolutions.
        most = max(zip(read, known, strict=True), key=lambda pair: (pair[0].numel(), pair[1].convs))[1]
        new = _Map(most.convs, most.act, most.before, None, most.scale, most.pooled, most.conv)
        if func.is_view and made.numel() == args[0].numel():  # such as a clip's frames in one row
            new = most
        if len(known) > 1:  # gated, or joined: no longer what one activation made
            new.act, new.before = "", None
        if func is _aten.convolution.default:
            new = self._convolved(args, made, most)
        elif func in _NORMS:
            into = before or moments(args[0])
            self.events.append(Normed(self.path, into, float(args[_NORMS[func]])))
            new = _Map(most.convs, fresh=moments(made), pooled=most.pooled, conv=most.conv)
        elif name in _ACTIVATIONS:
            self._activated(name, made, before, most.conv)
            new = _Map(most.convs, name.rstrip("_"), before, pooled=most.pooled, conv=most.conv)
        elif merge is not None:
            self._merged(merge, made)
            new = _Map(most.convs)
        elif name in ("avg_pool2d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d") and made.ndim >= 4:
            kept = self._pooled(args[0], made)
            new = replace(new, pooled=most.pooled * kept)
        elif name in ("mul", "mul_", "div", "div_") and (factor := _scalar(args[1])) is not None:
            new.scale = most.scale * (factor if name.startswith("mul") else 1 / factor if factor else 0.0)
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._maps[leaf] = new
        return out

    def _before(self, name: str, args: Any, known: list[_Map]) -> Moments | None:
        if not known or name not in _ACTIVATIONS or args[0].ndim < 4 or known[0].fresh is None:
            return None
        return known[0].fresh

    def _convolved(self, args: Any, made: Tensor, known: _Map) -> _Map:
        image, weight, padding, groups = args[0], args[1], args[4], args[8]
        out = moments(made)
        if not out.finite and self.broken is None:
            self.broken = self.path
        if weight.ndim >= 4:
            rows = weight.flatten(1).float()
            energy = rows.square().sum(1)
            lean = rows.sum(1).abs() / (energy * rows.shape[1]).sqrt().clamp_min(1e-30)
            used_as_is = _whole(weight) in self._parameters
            own = dict(self._within[-1][1].named_parameters(recurse=False)).get("weight") if self._within else None
            raw = weight if own is None or own.numel() != weight.numel() else own
            self.events.append(
                Convolved(
                    self.path,
                    known.before,
                    known.act,
                    moments(image),
                    out,
                    rows.shape[1],
                    weight.shape[-1],
                    groups > 1 and groups == image.shape[1],
                    not used_as_is,
                    float(energy.mean()),
                    float(lean.mean()),
                    float(raw.flatten(1).float().var(1, correction=0).mean()),
                    any(padding),
                    tuple(made.shape[-2:]),
                )
            )
        return _Map(known.convs + 1, fresh=out, pooled=known.pooled, conv=self.path)

    def _activated(self, name: str, made: Tensor, before: Moments | None, conv: str) -> None:
        if made.ndim >= 4 and max(made.shape[-2:]) > 1:
            flat = made.detach().float().transpose(0, 1).flatten(1)
            constant = (flat.amax(1) == flat.amin(1)).float().mean()
            silent = before is not None and before.var == 0
            self.events.append(
                Activated(self.path, name.rstrip("_"), float(constant), min(made.shape[-2:]), silent, conv)
            )

    def _pooled(self, image: Tensor, made: Tensor) -> float:
        if max(made.shape[-2:]) <= 1:
            return 1.0
        was = moments(image).var
        kept = moments(made).var / was if was > 0 else 1.0
        self.events.append(Pooled(self.path, kept))
        return kept

    def _merging(self, func: Any, args: Any, kwargs: Any) -> tuple[Any, ...] | None:
        """(skip's map, branch's map, branch's moments, factor) of an addition of two maps."""
        if func not in (_aten.add.Tensor, _aten.add_.Tensor, _aten.addcmul.default):
            return None
        one, two = args[0], args[1]
        if not (isinstance(one, Tensor) and isinstance(two, Tensor)) or one.ndim < 4 or one.shape != two.shape:
            return None
        if one not in self._maps or two not in self._maps or _whole_norm(self._within[-1][1] if self._within else None):
            return None
        first, second = self._maps[one], self._maps[two]
        if func is _aten.addcmul.default:
            return first, second, moments(two), _scalar(args[2]) or 0.0
        if first.convs == second.convs:
            return first, None, None, 1.0
        alpha = float(kwargs.get("alpha", 1))
        if second.convs > first.convs:
            return first, second, moments(two), alpha
        return second, first, moments(one), 1.0

    def _merged(self, merge: tuple[Any, ...], made: Tensor) -> None:
        skip, branch, of_branch, factor = merge
        out = moments(made)
        if not out.finite and self.broken is None:
            self.broken = self.path
        if branch is not None and branch.scale not in (0.0, 1.0):
            # Scaled on the way: what the branch itself put out is told, and by what it was multiplied.
            square = branch.scale**2
            of_branch, factor = Moments(of_branch.var / square, of_branch.sqmean / square), factor * branch.scale
        elif branch is not None and branch.scale == 0.0:
            factor = 0.0
        sources = ("" if branch is None else branch.conv, skip.conv)
        self.events.append(
            Merged(self.path, out, of_branch, factor, *sources, skip.pooled, made.shape[1], min(made.shape[-2:]))
        )


def _whole_norm(module: nn.Module | None) -> bool:
    """Whether a module normalises as a whole: what it adds up inside is no residual merge."""
    return bool(getattr(module, "whole_norm", False)) or type(module).__name__.startswith(_FOREIGN)


def _whole(weight: Tensor) -> tuple[int, int]:
    """What tells a parameter, however it is viewed, from what is made of it."""
    return weight.data_ptr(), weight.numel()


def _scalar(value: Any) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    return None
