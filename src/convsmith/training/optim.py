"""Optimisers from their values."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..model import Model
from ..recipe import SGD, AdamW, BySize, Recipe, RMSPropTF
from .rmsprop import RMSPropTF as TensorFlowRMSProp

__all__ = ["answering", "optimiser", "parameter_groups"]


def answering(model: nn.Module) -> tuple[str, ...]:
    """How the names of those parameters begin whose shape the data's names fix, such as a classifier's: all others are
    the trunk's. None of a module that was not built from a spec."""
    return model.spec.head.named if isinstance(model, Model) else ()


def _behind(model: nn.Module) -> tuple[str, ...]:
    """The same of all that has the whole rate where the trunk has a share of it."""
    return (model.spec.head.behind or model.spec.head.named) if isinstance(model, Model) else ()


def parameter_groups(
    model: nn.Module, decay: float, *, biases: bool = False, trunk_rate: float = 1.0
) -> list[dict[str, Any]]:
    """Two groups, the weights that decay and those that do not; and two more where the trunk, all but what is `answering` or stands
    `behind` (`arch.Head`), has a rate of its own, the share `trunk_rate` of the other's. Each group has that `share`.

    A tensor with one number a channel, whatever its shape, is a scale or a shift and does not decay: norms, the gains of
    standardised convolutions (decay on those is another method), biases. `biases` lets those of convolutions and linear
    layers decay, as the penalty of TensorFlow's trainers does, which leaves out batch norm alone.
    """
    layers = (nn.Conv2d, nn.Conv3d, nn.Linear)
    own = {id(module.bias) for module in model.modules() if isinstance(module, layers) and module.bias is not None}
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    last = _behind(model)
    groups: list[dict[str, Any]] = []
    for share in dict.fromkeys((trunk_rate, 1.0)):
        parts = [one for name, one in named if share == (1.0 if name.startswith(last) else trunk_rate)]
        free = [one for one in parts if (one.ndim == 0 or one.numel() == len(one)) and not (biases and id(one) in own)]
        scales = {id(one) for one in free}
        decayed = [one for one in parts if id(one) not in scales]
        for params, own_decay in ((decayed, decay), (free, 0.0)):
            if params:
                groups.append({"params": params, "weight_decay": own_decay, "share": share})
    return groups


def optimiser(model: nn.Module, recipe: Recipe, *, share: float = 1.0) -> torch.optim.Optimizer:
    """The recipe's optimiser over `model`; the loop sets its rate, the `share` of the recipe's, before every step."""
    if isinstance(recipe.decay, BySize):
        raise ValueError("the recipe's decay is a table by size; `recipes.settle` reads it at a network's size")
    groups = parameter_groups(model, recipe.decay, biases=recipe.decay_biases, trunk_rate=recipe.trunk_rate)
    for group in groups:
        group["share"] *= share
    match recipe.optimiser:
        case SGD(momentum=momentum, nesterov=nesterov):
            # Fused: one kernel over all tensors, on the CPU too, where small networks have hundreds of tiny ones.
            return torch.optim.SGD(groups, lr=0.0, momentum=momentum, nesterov=nesterov and momentum > 0, fused=True)
        case AdamW(beta1=beta1, beta2=beta2, eps=eps):
            return torch.optim.AdamW(groups, lr=0.0, betas=(beta1, beta2), eps=eps, fused=True)
        case RMSPropTF(decay=decay, momentum=momentum, eps=eps):
            return TensorFlowRMSProp(groups, 0.0, decay=decay, momentum=momentum, eps=eps)
        case other:
            raise TypeError(f"no optimiser for {other!r}")
