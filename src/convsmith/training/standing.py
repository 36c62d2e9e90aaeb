"""The statistics of a generator's norms: what its images are normalised by when they are no longer made in batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..layers import running

__all__ = ["has_statistics", "stand"]

Drawn = tuple[Tensor, Tensor]


def has_statistics(generator: nn.Module) -> bool:
    """Whether any norm goes by running statistics: of EvoNorm-S and group norm none does."""
    return bool(_norms(generator))


@torch.no_grad()
def stand(generator: nn.Module, draw: Callable[[int], Drawn], *, batches: int = 16) -> None:
    """Give every norm standing statistics (Brock et al., 2019): the unweighted mean over `batches` of the means and variances
    that each sees, and leave `generator` in evaluation mode. `draw(k)` is what batch k is made from, (z, y).

    Weights are not touched. The average of a generator's weights has never seen the running statistics of these, and what z is
    drawn from, such as a truncated normal, has statistics of its own. With norms of single images it changes nothing.
    """
    norms = _norms(generator)
    before = [(norm, norm.momentum) for norm in norms]
    generator.eval()
    try:
        for norm in norms:
            norm.train()
        for k in range(batches if norms else 0):
            for norm in norms:
                norm.momentum = 1 / (k + 1)  # type: ignore[assignment]  # a running mean with these weights is the plain mean
            generator(*draw(k))
    finally:
        for norm, momentum in before:
            norm.momentum = momentum
        generator.eval()


def _norms(generator: nn.Module) -> list[nn.Module]:
    return [one for one in generator.modules() if running(one) is not None and hasattr(one, "momentum")]
