"""Another norm, or none, in any live module: `operate`."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..arch import Act, Norm
from ..errors import UserError
from ..exporting import fold_batch_norm
from ..exporting.fold import after, foldable, normed_convs
from ..layers import BatchNorm2d, ScaledWSConv2d, Standardised
from ..parts import EvoNorm, GraphNorm
from ..signal import Trace, trace
from ..signal.watch import Merged
from .kinds import NormName, norm_of, word_of

__all__ = ["Operation", "operate"]

_ALPHA = 0.2


@dataclass(frozen=True)
class Operation:
    """A converted copy of a module: how many norms were replaced, which were left with the reason why, and `difference`,
    the largest of the outputs before and after over the outputs' own deviation, where the function was to be kept."""

    module: nn.Module
    norm: NormName | Norm
    replaced: int
    left: tuple[tuple[str, str], ...]
    difference: float | None = None


def operate(
    module: nn.Module,
    norm: NormName | Norm,
    *,
    images: Tensor,
    keep_function: bool = False,
    alpha: float = _ALPHA,
    name: str | None = None,
) -> Operation:
    """A copy of `module` whose batch norms are replaced. `images` ⟨N,C,H,W⟩ go through it, in its own precision, to find
    what follows what.

    - `nf`: each convolution with a batch norm behind it becomes a standardised one without the norm, and so does every
      other one on maps; their directions are kept. A depthwise one stays plain: zero-mean filters pass no local mean.
      Scales are then set in order of execution, so that each puts out a variance of 1, and the last of a residual branch
      alpha^2: the gains of the activations, the 1/beta of the blocks and whatever pools take are all in them (Brock et
      al., 2021, traced instead of reckoned). With `keep_function` the norms are folded into their convolutions instead,
      which keeps the evaluation outputs and not the law: standardising would take each filter's mean.
    - `group`: each batch norm becomes a group norm with its scale and shift.
    - `evonorm-s0`, `evonorm-b0`, or an `EvoNorm` or `GraphNorm` as a part: each batch norm becomes it together with the
      activation behind it where that is in the norm itself (timm) or the next module of a sequence. An activation that is
      shared, or called in code, cannot be taken out from outside; those norms are left, and listed.

    Raises `UserError`, which calls the network `name`, where there is no batch norm to replace, or `keep_function` with
    anything but `nf`.
    """
    if keep_function and norm != "nf":
        raise UserError(
            f"only nf can keep the function, by folding: {word_of(norm)} normalises by what a batch or image holds"
        )
    if norm == "batch":
        raise UserError("a live module has batch norms already, or no place where they were: convert its spec")
    if isinstance(norm, Norm) and not isinstance(norm, EvoNorm | GraphNorm):
        raise UserError(
            f"a live module takes {norm.kind} by its name alone, since its activations stay: convert its spec"
        )
    norms = [name for name, child in module.named_modules() if foldable(child)]
    if not norms:
        raise UserError(f"{name or type(module).__name__} has no batch norm to replace{_instead(module)}")
    shape = tuple(int(side) for side in images.shape[1:])
    images = images.to(next(module.parameters(), images))
    if norm != "nf":
        return _renormed(module, norm, norms)
    if keep_function:
        folded, count = fold_batch_norm(module, input_shape=shape)
        left = [
            (name, "no convolution stands alone before it") for name, child in folded.named_modules() if foldable(child)
        ]
        return Operation(folded, norm, count, tuple(left), _difference(module, folded, images))
    return _freed(module, images, norms, shape, alpha)


def _instead(module: nn.Module) -> str:
    """Which other norms a network has, by their names alone: packages have their own."""
    kinds = (type(child).__name__ for child in module.modules() if not list(child.children()))
    found = Counter(kind for kind in kinds if "Norm" in kind and "Conv" not in kind)
    if not found:
        return ": it has no norms"
    return f"; its norms are {', '.join(f'{n} {kind}' for kind, n in found.most_common(3))}, and only batch norms are replaced"


def _difference(one: nn.Module, two: nn.Module, images: Tensor) -> float:
    with torch.no_grad():
        was, now = copy.deepcopy(one).eval()(images), two.eval()(images)
    return float((was - now).abs().max() / was.std().clamp_min(1e-12))


# ---- to no norm ------------------------------------------------------------------------------------------------------


def _freed(module: nn.Module, images: Tensor, norms: list[str], shape: tuple[int, ...], alpha: float) -> Operation:
    made = copy.deepcopy(module).eval()
    pairs = normed_convs(made, shape)
    names = {id(child): name for name, child in made.named_modules()}
    free: dict[str, nn.Conv2d | nn.Conv3d] = {}
    for conv, norm_name, bn in pairs:
        free[names[id(conv)]] = _without_norm(conv)
        made.set_submodule(norm_name, after(bn))
    for name, fresh in free.items():
        made.set_submodule(name, fresh)
    done = {name for _, name, _ in pairs}
    # Pre-activation networks normalise sums, not convolutions: without the norm its activation is what is left.
    for name in norms:
        if name not in done:
            made.set_submodule(name, after(made.get_submodule(name)))
    for name, conv in _on_maps(made, images).items():
        if name not in free:
            free[name] = _without_norm(conv)
            made.set_submodule(name, free[name])
    lasts = {e.branch_conv for e in _merges(trace(made, images, trained=False)) if e.branch_conv}
    with _scaling(made, free, dict.fromkeys(lasts, alpha**2)), torch.no_grad():
        made.eval()(images)
    return Operation(made.train(module.training), "nf", len(norms), ())


def _on_maps(made: nn.Module, images: Tensor) -> dict[str, nn.Conv2d | nn.Conv3d]:
    """The convolutions that work on maps: a gate's are on one pixel and set no variance."""
    seen: dict[str, nn.Conv2d | nn.Conv3d] = {}

    def note(name: str) -> Any:
        def hook(conv: nn.Conv2d | nn.Conv3d, _: object, out: Tensor) -> None:
            if out.shape[-1] > 1:
                seen[name] = conv

        return hook

    convs = [(name, child) for name, child in made.named_modules() if isinstance(child, nn.Conv2d | nn.Conv3d)]
    handles = [conv.register_forward_hook(note(name)) for name, conv in convs]
    with torch.no_grad():
        made.eval()(images[:1])
    for handle in handles:
        handle.remove()
    return seen


def _merges(found: Trace) -> Iterable[Merged]:
    return (event for event in found.draws[0].events if isinstance(event, Merged))


def _without_norm(conv: nn.Conv2d | nn.Conv3d) -> nn.Conv2d | nn.Conv3d:
    """A convolution that will do without: standardised, or for depthwise filters plain; with a bias at 0."""
    depthwise = conv.groups > 1 and conv.groups == conv.in_channels
    square = conv.kernel_size[0] == conv.kernel_size[1]
    half = conv.kernel_size[0] // 2
    reach = (half * conv.dilation[0], half * conv.dilation[1])
    regular = square and len(set(conv.dilation)) == 1 and conv.padding == reach and conv.padding_mode == "zeros"
    if depthwise or not regular or conv.weight[0].numel() < 2:
        made = copy.deepcopy(conv)
    else:
        made = ScaledWSConv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size[0],
            stride=conv.stride[0],
            groups=conv.groups,
            dilation=conv.dilation[0],
        ).to(conv.weight)
        made.weight.data.copy_(conv.weight.data)
    made.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels))
    return made


@contextmanager
def _scaling(made: nn.Module, convs: dict[str, nn.Conv2d | nn.Conv3d], targets: dict[str, float]) -> Iterator[None]:
    """While one batch runs: scale each convolution as it is reached, so that its output has the variance wanted of it."""
    done: set[str] = set()

    def setting(name: str) -> Any:
        def hook(conv: nn.Module, _: object, out: Tensor) -> Tensor | None:
            if name in done:  # a convolution that is run twice has one scale
                return None
            done.add(name)
            variance = float(out.float().var((0, *range(2, out.ndim)), correction=0).mean())
            if variance <= 0:
                return None
            factor = float((targets.get(name, 1.0) / variance) ** 0.5)
            if isinstance(conv, Standardised):
                conv.scale *= factor
            else:
                conv.get_parameter("weight").data.mul_(factor)
            return out * factor

        return hook

    handles = [conv.register_forward_hook(setting(name)) for name, conv in convs.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


# ---- to another norm -------------------------------------------------------------------------------------------------


def _renormed(module: nn.Module, norm: NormName | Norm, names: list[str]) -> Operation:
    made = copy.deepcopy(module)
    left: list[tuple[str, str]] = []
    done = 0
    for name in names:
        bn = made.get_submodule(name)
        assert foldable(bn)
        chosen = norm_of(norm, Act.NONE)
        assert chosen is not None
        if norm == "group":
            new = nn.Sequential(chosen.build(bn.num_features), after(bn))
        else:
            taken = _take_activation(made, name, bn)
            if taken is None:
                left.append((name, "the activation behind it is shared or called in code, so it cannot be taken out"))
                continue
            new = nn.Sequential(chosen.build(bn.num_features, activate=taken))
        _inherit(new, bn)
        made.set_submodule(name, new.to(_where(made)))
        done += 1
    return Operation(made, norm, done, tuple(left))


def _take_activation(made: nn.Module, name: str, bn: nn.BatchNorm2d) -> bool | None:
    """Whether an activation stood behind a norm and was taken out; None where that cannot be told."""
    rest = after(bn)
    if type(bn) not in (nn.BatchNorm2d, BatchNorm2d):  # timm's, which holds its own
        return any(True for _ in rest.children())
    parent_name, _, own = name.rpartition(".")
    parent = made.get_submodule(parent_name)
    if not isinstance(parent, nn.Sequential):
        return None
    order = list(dict(parent.named_children()))
    at = order.index(own)
    if at + 1 == len(order):
        return False
    following = parent.get_submodule(order[at + 1])
    if not isinstance(following, _ACTIVATIONS):
        return False
    parent.register_module(order[at + 1], nn.Identity())
    return True


def _where(module: nn.Module) -> torch.device:
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.LeakyReLU, nn.ELU, nn.Mish)


@torch.no_grad()
def _inherit(new: nn.Module, bn: nn.BatchNorm2d) -> None:
    """The scale and shift of the norm that was."""
    if not bn.affine:
        return
    for owner in new.modules():
        for name, old in (("weight", bn.weight), ("bias", bn.bias)):
            parameter = dict(owner.named_parameters(recurse=False)).get(name)
            if parameter is not None and parameter.numel() == old.numel():
                parameter.copy_(old.view_as(parameter))
