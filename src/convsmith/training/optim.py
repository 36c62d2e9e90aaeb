"""Optimisers from their values."""

from __future__ import annotations

import torch
from torch import nn

from ..recipe import SGD, AdamW, Recipe, RMSPropTF
from ..sized import BySize
from .rmsprop import RMSPropTF as TensorFlowRMSProp

__all__ = ["optimiser", "parameter_groups"]


def parameter_groups(model: nn.Module, decay: float, *, biases: bool = False) -> list[dict[str, object]]:
    """Two groups: the weights that decay and those that do not.

    A tensor with one number a channel, whatever its shape, is a scale or a shift and does not decay: norms, the gains of
    standardised convolutions (decay on those is another method), biases. `biases` lets those of convolutions and linear
    layers decay, as the penalty of TensorFlow's trainers does, which leaves out batch norm alone.
    """
    layers = (nn.Conv2d, nn.Linear)
    own = {id(module.bias) for module in model.modules() if isinstance(module, layers) and module.bias is not None}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for parameter in trained:
        scale = parameter.ndim == 0 or parameter.numel() == len(parameter)
        (free if scale and not (biases and id(parameter) in own) else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]


def optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over `model`; the loop sets its rate before every step."""
    if isinstance(recipe.decay, BySize):
        raise ValueError("the recipe's decay is a table by size; `recipes.settle` reads it at a network's size")
    groups = parameter_groups(model, recipe.decay, biases=recipe.decay_biases)
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
