"""The statistics of a child's norms, from batches of images, pooled exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import UserError
from ..layers import EvoNormB

__all__ = ["calibrate"]


@torch.no_grad()
def calibrate(model: nn.Module, batches: Sequence[Tensor], *, layerwise: bool = False) -> None:
    """Give every norm of `model` the statistics of `batches` as its running ones, and leave `model` in evaluation mode.

    Over all n values that a channel takes, from the moments of each batch b (Chan et al., 1983):

        mean = sum n_b mean_b / n,   var = sum (n_b var_b + n_b (mean_b - mean)^2) / n,

    so batches of any sizes give what one batch of all images gives; torch's cumulative average leaves out the second term.
    The variance is the population's, which is what training normalised by.

    In one pass, the default, each norm sees maps that the norms before it normalised by their batch: exact for the first
    norm, and for every one where there is one batch; behind it as large batches make it. `layerwise` fixes one norm after
    the other, each from maps that the fixed ones before it normalised: exact for all, in as many passes as there are norms.
    Weights are not touched. `batches` are prepared images ⟨N,C,s,s⟩ at the resolution that the model will be read at.

    Raises:
        UserError: no batches.
    """
    if not batches:
        raise UserError("calibration needs at least one batch of images")
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, (_BatchNorm, EvoNormB))]
    if layerwise:
        for norm in _in_order(model, norms, batches[0]):
            _fix(model, [norm], batches, leave=True)
    else:
        _fix(model, norms, batches)


class _Left(Exception):
    """The one norm that matters has seen its map."""


class _Pool:
    """Moments of all that a norm has seen, per channel, in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0  # the sum of squared distances from the mean

    def add(self, count: int, mean: Tensor, variance: Tensor) -> None:
        apart = mean - self.mean
        both = self.count + count
        self.squares = self.squares + variance * count + apart * apart * (self.count * count / both)
        self.mean = self.mean + apart * (count / both)
        self.count = both


def _fix(model: nn.Module, norms: Sequence[nn.Module], batches: Sequence[Tensor], *, leave: bool = False) -> None:
    """Pool what `norms` see in a pass over `batches`, and write it; with `leave` a pass goes no further than to them."""
    pools = {norm: _Pool() for norm in norms}
    with ExitStack() as hooks:
        for norm in norms:
            norm.train()
            hooks.enter_context(norm.register_forward_pre_hook(_gather(pools[norm], leave)))
        for batch in batches:
            try:
                model(batch)
            except _Left:
                continue
    for norm, pool in pools.items():
        norm.eval()
        if pool.count:
            _write(norm, pool, len(batches))


def _gather(pool: _Pool, leave: bool) -> Callable[..., None]:
    def hook(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # Not what the norm itself reckons with: torch's sums over a map in channels-last order lose four digits.
        x = inputs[0]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(wide, (0, *range(2, x.ndim)), correction=0)
        pool.add(x.numel() // x.shape[1], mean.double(), variance.double())
        if leave:
            raise _Left

    return hook


def _write(norm: nn.Module, pool: _Pool, batches: int) -> None:
    assert isinstance(pool.mean, Tensor) and isinstance(pool.squares, Tensor)
    if isinstance(norm, _BatchNorm):
        assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
        norm.running_mean.copy_(pool.mean)
        norm.num_batches_tracked.fill_(batches)
    assert isinstance(norm.running_var, Tensor)
    norm.running_var.copy_(pool.squares / pool.count)


def _in_order(model: nn.Module, norms: Sequence[nn.Module], batch: Tensor) -> list[nn.Module]:
    """The norms as the forward meets them."""
    met: list[nn.Module] = []
    with ExitStack() as hooks:
        for norm in norms:
            hooks.enter_context(norm.register_forward_pre_hook(lambda module, _: met.append(module)))
        model(batch[:1])
    return met
