"""Self-attention over a map (Zhang et al., 2019), as networks that make images have it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SelfAttention2d"]


class SelfAttention2d(nn.Module):
    """x + gamma o(A g(x)), ⟨N,C,H,W⟩ -> ⟨N,C,H,W⟩, with A = softmax of theta(x)' phi(x) over the positions of phi.

    `query`, `key`, `value` and `out` are 1x1 convolutions C -> d, C -> d, C -> e and e -> C; keys and values are max-pooled
    2x2. Nothing divides the products by sqrt(d). `gamma` is one number that starts at 0, so that the unit starts as the identity.
    """

    def __init__(self, query: nn.Module, key: nn.Module, value: nn.Module, out: nn.Module) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = query, key, value, out
        self.gamma = nn.Parameter(torch.zeros(()))

    def weights(self, x: Tensor) -> Tensor:
        """A ⟨N, H W, ceil(H/2) ceil(W/2)⟩; its rows sum to 1."""
        query, key = self.query(x).flatten(2), _pooled(self.key(x))
        return torch.bmm(query.transpose(1, 2), key).softmax(2)

    def forward(self, x: Tensor) -> Tensor:
        value = _pooled(self.value(x))
        mixed = torch.bmm(value, self.weights(x).transpose(1, 2))
        out: Tensor = self.out(mixed.view(*mixed.shape[:2], *x.shape[2:]))
        return torch.addcmul(x, out, self.gamma)


def _pooled(x: Tensor) -> Tensor:
    """⟨N,C,H,W⟩ -> ⟨N,C,ceil(H/2) ceil(W/2)⟩."""
    return F.max_pool2d(x, 2, ceil_mode=True).flatten(2)
