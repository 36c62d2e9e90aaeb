"""Several views of one input, answered as one."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import logsigmoid

__all__ = ["OverViews"]


class OverViews(nn.Module):
    """Logits ⟨N,classes⟩ whose probabilities are the means over those of each view, for images ⟨N,V,...⟩ in bytes.

    `prepare` makes of bytes what `network` reads. `activation` says what makes probabilities of its outputs: a softmax, a sigmoid,
    or nothing, as it has put out probabilities already.
    """

    def __init__(self, network: nn.Module, prepare: Callable[[Tensor], Tensor], activation: str = "softmax") -> None:
        super().__init__()
        self.network, self.prepare, self.activation = network, prepare, activation

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(self.prepare(images.flatten(0, 1))).float().unflatten(0, images.shape[:2])
        # As logarithms: a share of 0 has none that is finite.
        match self.activation:
            case "softmax":
                return logits.log_softmax(2).logsumexp(1) - math.log(images.shape[1])
            case "sigmoid":
                return logsigmoid(logits).logsumexp(1) - logsigmoid(-logits).logsumexp(1)
            case _:
                return logits.mean(1)
