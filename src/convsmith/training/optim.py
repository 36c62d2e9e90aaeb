"""Optimisers from their values."""

from __future__ import annotations

import torch
from torch import nn

from ..recipe import SGD, AdamW, Recipe

__all__ = ["optimiser", "parameter_groups"]


def parameter_groups(model: nn.Module, decay: float) -> list[dict[str, object]]:
    """Two groups: weights of convolutions and linear layers, which decay, and biases and norms, which do not."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


def optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over `model`; the loop sets its rate before every step."""
    groups = parameter_groups(model, recipe.decay)
    match recipe.optimiser:
        case SGD(momentum=momentum, nesterov=nesterov):
            # Fused: one kernel over all tensors, on the CPU too, where small networks have hundreds of tiny ones.
            return torch.optim.SGD(groups, lr=0.0, momentum=momentum, nesterov=nesterov and momentum > 0, fused=True)
        case AdamW(beta1=beta1, beta2=beta2, eps=eps):
            return torch.optim.AdamW(groups, lr=0.0, betas=(beta1, beta2), eps=eps, fused=True)
        case other:
            raise TypeError(f"no optimiser for {other!r}")
