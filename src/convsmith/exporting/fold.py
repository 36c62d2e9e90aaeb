"""Batch normalisation folded into the convolution before it: one layer less, the same function."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..layers import BatchNorm2d, ScaledWSConv2d, ScaledWSConv3d, Spectral

__all__ = ["after", "fold_batch_norm", "fold_filters", "fold_spectral", "foldable", "normed_convs"]

_NORMALISE = frozenset(
    {
        torch.ops.aten.batch_norm.default,
        torch.ops.aten.native_batch_norm.default,
        torch.ops.aten.cudnn_batch_norm.default,
        torch.ops.aten._native_batch_norm_legit_no_training.default,
        torch.ops.aten._batch_norm_no_update.default,
    }
)


def fold_batch_norm(
    model: nn.Module, *, input_shape: tuple[int, ...], given: tuple[torch.Tensor, ...] = ()
) -> tuple[nn.Module, int]:
    """An eval-mode copy of `model` without the batch norms that follow a convolution, and how many there were.

        w' = w * gamma / sqrt(var + eps);   b' = (b - mean) * gamma / sqrt(var + eps) + beta

    Pairs are found by running one image of `input_shape` (channels, height, width), or what is `given`, and watching the tensors,
    so no name or layout of modules is assumed. A pair is folded only where the convolution uses its parameter as it stands
    (a weight-standardised one does not), both run once, and nothing but the norm reads what lies between them.
    `BatchNorm2d` and timm's `BatchNormAct2d` are folded; the latter keeps its drop and activation.
    """
    folded = copy.deepcopy(model).eval()
    pairs = normed_convs(folded, input_shape, given)
    for conv, norm_name, norm in pairs:
        assert norm.running_mean is not None and norm.running_var is not None  # or it were no pair
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        folded.set_submodule(norm_name, after(norm))
    return folded, len(pairs)


def fold_filters(model: nn.Module) -> nn.Module:
    """An eval-mode copy of `model` whose standardised convolutions are plain ones that hold the filters as they stand."""
    plain = copy.deepcopy(model).eval()
    for name, module in list(plain.named_modules()):
        if isinstance(module, ScaledWSConv2d | ScaledWSConv3d):
            plain.set_submodule(name, module.plain().eval().requires_grad_(False))
    return plain


def fold_spectral(model: nn.Module) -> nn.Module:
    """An eval-mode copy of `model` whose spectrally normalised layers are plain ones, divided by norms that have converged; `model`
    itself where it has none."""
    names = [name for name, module in model.named_modules() if isinstance(module, Spectral)]
    if not names:
        return model
    plain = copy.deepcopy(model).eval()
    for name in names:
        layer = plain.get_submodule(name)
        assert isinstance(layer, Spectral)
        plain.set_submodule(name, layer.plain().eval().requires_grad_(False))
    return plain


@dataclass
class _Output:
    """What a convolution put out: made with which weight, read how often, and normalised by which running mean. Other views
    of the same numbers, such as a clip's frames in one row, are it, too."""

    tensors: list[torch.Tensor]  # kept alive, so that no later tensor takes their identity
    weight: tuple[int, int]
    reads: int = 0
    mean: int | None = None


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Who makes and who reads each convolution's output, by the identity of tensors."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.outputs: dict[int, _Output] = {}
        self.runs: Counter[int | tuple[int, int]] = Counter()  # layers run with a weight or a running mean

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func.is_view and id(args[0]) in self.outputs and _is_whole(out, args[0]):
            self.outputs[id(out)] = self.outputs[id(args[0])]
            self.outputs[id(out)].tensors.append(out)
            return out
        self.read((args, kwargs))
        if func is torch.ops.aten.convolution.default:
            weight = _whole(args[1])
            self.outputs[id(out)] = _Output([out], weight)
            self.runs[weight] += 1
        elif func in _NORMALISE:
            self.runs[id(args[3])] += 1
            if id(args[0]) in self.outputs:
                self.outputs[id(args[0])].mean = id(args[3])
        return out

    def read(self, tree: object) -> None:
        for leaf in tree_leaves(tree):
            if id(leaf) in self.outputs:
                self.outputs[id(leaf)].reads += 1


def normed_convs(
    model: nn.Module, input_shape: tuple[int, ...], given: tuple[torch.Tensor, ...] = ()
) -> list[tuple[nn.Conv2d | nn.Conv3d, str, nn.BatchNorm2d]]:
    """Each convolution that nothing but a batch norm reads, with that norm's name and the norm; `model` is in eval mode."""
    modules = _named_once(model)
    # A weight that is made anew each time, as by torch's parametrisations, is no parameter: its memory may be another's next.
    convs = {
        _whole(module.weight): module
        for _, module in modules
        if isinstance(module, nn.Conv2d | nn.Conv3d) and isinstance(module.weight, nn.Parameter)
    }
    norms = {id(module.running_mean): (name, module) for name, module in modules if foldable(module)}
    like = next(model.parameters(), torch.zeros(()))
    watch = _Watch()
    # One image of zeros: only the wiring is read.
    with torch.no_grad(), watch:
        watch.read(model(*(given or (like.new_zeros((1, *input_shape)),))))
    return [
        (convs[output.weight], *norms[output.mean])
        for output in {id(one): one for one in watch.outputs.values()}.values()
        if output.weight in convs
        and output.mean in norms  # both used as they stand
        and output.reads == watch.runs[output.weight] == watch.runs[output.mean] == 1
    ]


def _is_whole(view: object, of: torch.Tensor) -> bool:
    """Whether a view, or several, is all of a tensor."""
    return isinstance(view, torch.Tensor) and view.numel() == of.numel()


def _whole(weight: torch.Tensor) -> tuple[int, int]:
    """What tells a parameter, however it is viewed, from a part of it and from what is made of it."""
    return weight.data_ptr(), weight.numel()


def _named_once(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules that have one name only: one that is reached by two cannot be replaced under either."""
    named = list(model.named_modules(remove_duplicate=False))
    times = Counter(id(module) for _, module in named)
    return [(name, module) for name, module in named if times[id(module)] == 1]


def foldable(module: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Whether this is a batch norm with statistics of its own, torch's or timm's with an activation in it."""
    if not isinstance(module, nn.BatchNorm2d) or module.running_mean is None:
        return False
    return type(module) in (nn.BatchNorm2d, BatchNorm2d) or _is_timm_norm_act(module)


def _is_timm_norm_act(module: nn.Module) -> bool:
    # By name, because timm is never imported at run time. Its forward is act(drop(batch_norm(x))).
    return type(module).__name__ == "BatchNormAct2d" and type(module).__module__.startswith("timm.")


def after(norm: nn.Module) -> nn.Module:
    """What a norm does besides normalising."""
    if not _is_timm_norm_act(norm):
        return nn.Identity()
    children = dict(norm.named_children())
    return nn.Sequential(*_present(children["drop"], children["act"]))


def _present(*modules: nn.Module) -> Iterable[nn.Module]:
    return (module for module in modules if not isinstance(module, nn.Identity))
