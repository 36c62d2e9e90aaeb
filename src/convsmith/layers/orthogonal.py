"""Weights that begin orthogonal (Saxe et al., 2014)."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Embedding", "orthogonal"]


def orthogonal(weight: Tensor) -> Tensor:
    """Fill ⟨O, ...⟩, read as a matrix (O, all else), with orthonormal rows, or columns where there are fewer of these."""
    return weight if weight.is_meta else nn.init.orthogonal_(weight)  # a decomposition of nothing but shapes takes time


class Embedding(nn.Embedding):
    """A vector ⟨width⟩ for each of `classes`, ⟨N⟩ -> ⟨N,width⟩; orthogonal at the start."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__(classes, width)

    def reset_parameters(self) -> None:
        orthogonal(self.weight)
