"""Adaptive gradient clipping."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["clip_adaptively"]

# Brock et al. (2021b): weights that start at 0 (zero-initialised scales and classifiers) must be able to leave it.
LEAST_NORM = 1e-3


@torch.no_grad()
def clip_adaptively(model: nn.Module, ratio: float) -> None:
    """Shorten, in place, the gradient of every unit that is too long for its weights (Brock et al., 2021b):

        g_i <- g_i * min(1, ratio * max(|w_i|, 1e-3) / |g_i|)

    A unit is one output channel of a weight, and the whole of a vector. The last linear layer, the classifier, is left
    alone, as the paper leaves it (recalled, not read again).
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    spared = {id(parameter) for parameter in linear[-1].parameters()} if linear else set()
    for weight in model.parameters():
        if weight.grad is None or id(weight) in spared:
            continue
        axes = tuple(range(1, weight.ndim)) if weight.ndim > 1 else None
        most = torch.linalg.vector_norm(weight, dim=axes, keepdim=True).clamp_min(LEAST_NORM).mul_(ratio)
        norm = torch.linalg.vector_norm(weight.grad, dim=axes, keepdim=True).clamp_min(1e-6)
        weight.grad.mul_((most / norm).clamp_max(1.0))
