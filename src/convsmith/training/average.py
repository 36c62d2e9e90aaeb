"""The exponential moving average of a model."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["averaged"]

Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged(model: nn.Module, decay: float, *, start: int = 0) -> AveragedModel:
    """A copy of `model` that `update_parameters(model)` moves towards it:

        average <- d average + (1 - d) weights,  d = min(decay, (1 + t) / (10 + t)) after t updates

    With a `start` it is a copy for as many updates, and d = decay from then on (BigGAN's code).
    Running statistics of norms are averaged with the weights, as EfficientNet's released code does; without them the
    average would be evaluated with somebody else's statistics.
    """

    @torch.no_grad()
    def move(average: Tensors, current: Tensors, updates: Tensor | int) -> None:
        t = int(updates)
        share = float(t < start) or 1 - (decay if start else min(decay, (1 + t) / (10 + t)))
        if average[0].is_floating_point():  # torch gives tensors of one type at a time
            torch._foreach_lerp_(average, current, share)
        else:
            torch._foreach_copy_(average, current)

    return AveragedModel(model, multi_avg_fn=move, use_buffers=True)
