"""The only skip connection in the package."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["DropPath", "Residual"]


class DropPath(nn.Module):
    """Stochastic depth (Huang et al., 2016): in training, each image's branch is dropped with probability `rate`.

    Survivors are divided by 1 - rate, so the expectation is the branch itself. In evaluation it is the identity.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return branch
        survival = 1.0 - self.rate
        mask = branch.new_empty((branch.shape[0],) + (1,) * (branch.ndim - 1)).bernoulli_(survival)
        return branch * mask.div_(survival)

    def extra_repr(self) -> str:
        return f"rate={self.rate:.4g}"


class Residual(nn.Module):
    """post(skip(x) + drop(branch(x))), or post(branch(x)) where there is no skip.

    `skip` is an identity, a projection, or None: a block whose stride or width forbids the identity keeps the same
    parameter names as its neighbours. Without a skip nothing is dropped, since nothing would be left.
    """

    def __init__(
        self,
        branch: nn.Module,
        *,
        skip: nn.Module | None,
        post: nn.Module | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.branch = branch
        self.skip = skip
        self.drop = DropPath(drop_path) if skip is not None and drop_path > 0 else nn.Identity()
        self.post = nn.Identity() if post is None else post

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch(x)
        if self.skip is not None:
            out = torch.add(self.skip(x), self.drop(out))
        return self.post(out)
