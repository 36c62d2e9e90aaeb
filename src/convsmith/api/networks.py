"""Networks by name, file or folder: specs, and built ones."""

from __future__ import annotations

from pathlib import Path

import torch

from .. import arch, costs, model, resolve
from ..arch import ArchSpec, Node
from ..data import Transform
from ..model import Model
from ..runs import RunFolder
from ..units import Cost
from .words import answering

__all__ = ["Named", "build", "cost", "create", "plan", "spec", "transform_of"]

# A network with a spec: its name, a file or folder that has it, or itself.
Named = str | Path | ArchSpec | RunFolder

spec = answering(resolve.spec)
create = answering(resolve.create)


@answering
def cost(network: Named) -> Cost:
    """Multiply-adds, trainable parameters and activations of one image through `network`: a spec, or what names one.

    >>> cost("efficientnet_b0")
    Cost(macs=385814752, params=5288548, activations=6748036)
    """
    return costs.cost(resolve.spec(network))


@answering
def plan(network: Named) -> tuple[Node, ...]:
    """Every unit of `network`, a spec or what names one, with the shapes that enter and leave it, in order of execution."""
    return arch.plan(resolve.spec(network))


@answering
def build(network: Named, *, seed: int | None = None, device: torch.device | str | None = None) -> Model:
    """The network of a spec, or of what names one, of random weights and in training mode; see `create` for weights.

    With `seed` the weights depend on it alone and the global generator is left as it was: drawn in float32, then of torch's
    default dtype. `device="meta"` makes a model of shapes without storage.
    """
    return model.build(resolve.spec(network), seed=seed, device=device)


@answering
def transform_of(network: Named | Model) -> Transform:
    """What `network` wants done to an image: a callable for a loader of one's own, equal to what `evaluate` does (`Transform`).

    Augmentation is a recipe's, not a network's: it is part of
    the batches of `convsmith.jobs.feed.Feed`.
    """
    chosen = network.spec if isinstance(network, Model) else resolve.spec(network)
    return Transform(chosen.input, chosen.head.whole)
