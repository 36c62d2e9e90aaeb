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
    """post(skip + alpha * gain * drop(branch(pre(x)))), or post(branch(pre(x))) where there is no skip.

    The skip is x itself where `skip` is the identity, else skip(pre(x)): a pre-activation block projects what it has
    activated (He et al., 2016b; Brock et al., 2021). Without `pre` that is x. `skip=None` keeps the parameter names of
    its neighbours where stride or width forbids an identity; nothing is dropped there, since nothing would be left.
    `skip_init` adds SkipInit's scalar (De & Smith, 2020), a parameter `gain` that starts at 0.
    """

    def __init__(
        self,
        branch: nn.Module,
        *,
        skip: nn.Module | None,
        pre: nn.Module | None = None,
        post: nn.Module | None = None,
        drop_path: float = 0.0,
        alpha: float = 1.0,
        skip_init: bool = False,
    ) -> None:
        super().__init__()
        self.pre = nn.Identity() if pre is None else pre
        self.branch = branch
        self.skip = skip
        self.drop = DropPath(drop_path) if skip is not None and drop_path > 0 else nn.Identity()
        self.post = nn.Identity() if post is None else post
        self.alpha = alpha
        self.gain = nn.Parameter(torch.zeros(())) if skip_init else None

    def forward(self, x: Tensor) -> Tensor:
        inner = self.pre(x)
        out = self.branch(inner)
        if self.skip is not None:
            skip = x if isinstance(self.skip, nn.Identity) else self.skip(inner)
            out = self.drop(out)
            if self.gain is not None:
                out = torch.addcmul(skip, out, self.gain * self.alpha)
            else:
                out = torch.add(skip, out, alpha=self.alpha)
        return self.post(out)

    def extra_repr(self) -> str:
        return "" if self.alpha == 1 else f"alpha={self.alpha:g}"
