"""What a layer costs beside others: the time of a training step, and what it keeps for the backward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...arch import ArchSpec, Norm
from ...data import ImageData
from ...recipe import Recipe
from ...tasks import Task
from ..feed import Feed
from ..timing.steps import seconds_a_step

__all__ = ["Price", "priced", "saved"]

ROUNDS = 3


@dataclass(frozen=True)
class Price:
    """Milliseconds of a training step, the fastest seen, and the maps kept for the backward pass, in inputs of the layer."""

    layer: str
    step_ms: float
    saved: float


def priced(
    norms: Mapping[str, Norm], network: ArchSpec, images: ImageData, recipe: Recipe, task: Task
) -> tuple[Price, ...]:
    """Each norm in the network, by turns and by one thread, so that a busy moment falls on all."""
    best = dict.fromkeys(norms, float("inf"))
    for _ in range(ROUNDS):
        for name, norm in norms.items():
            spec = network.with_style(norm=norm)
            seconds = seconds_a_step(spec, task, recipe, Feed(spec, images, recipe, 0, 0), threads=1)
            best[name] = min(best[name], 1000 * seconds)
    return tuple(Price(name, best[name], saved(norm.build(32))) for name, norm in norms.items())


def saved(layer: nn.Module) -> float:
    """Bytes that training keeps of a layer's forward pass beside its parameters, over those of its input ⟨4,32,16,16⟩."""
    x = torch.randn((4, 32, 16, 16), generator=torch.Generator().manual_seed(0)).requires_grad_()
    own = {parameter.untyped_storage().data_ptr() for parameter in layer.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = layer.train()(x)
    assert out.requires_grad  # what is kept lives as long as the output does
    return sum(kept.values()) / x.untyped_storage().nbytes()
