"""The statistics of a child's norms, from batches of images, pooled exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..layers import RunningStatistics, running

__all__ = ["calibrate"]


@torch.no_grad()
def calibrate(model: nn.Module, batches: Sequence[Tensor], *, layerwise: bool = False) -> None:
    """Give every norm of `model` the statistics of `batches` as its running ones, and leave `model` in evaluation mode.

    Over all n values that a channel takes of what the norm keeps moments of, its input or what it makes of that, from the
    moments of each batch b (Chan et al., 1983):

        mean = sum n_b mean_b / n,   var = sum (n_b var_b + n_b (mean_b - mean)^2) / n,

    so batches of any sizes give what one batch of all images gives; torch's cumulative average leaves out the second term.
    The variance is the population's, which is what training normalised by.

    In one pass, the default, each norm sees maps that the norms before it normalised by their batch: exact for the first
    norm, and for every one where there is one batch; behind it as large batches make it. `layerwise` fixes one norm after
    the other, each from maps that the fixed ones before it normalised, and within a norm one stage after the other: exact for all,
    in as many passes as there are norms and stages.
    Weights are not touched. `batches` are prepared images ⟨N,C,s,s⟩ at the resolution that the model will be read at.

    Raises:
        UserError: no batches.
    """
    if not batches:
        raise UserError("calibration needs at least one batch of images")
    model.eval()
    norms = [(module, kept) for module in model.modules() if (kept := running(module)) is not None]
    if not layerwise:
        _fix(model, [_Fixing(module, kept, None) for module, kept in norms], batches)
        return
    answers = dict(norms)
    for module in _in_order(model, list(answers), batches[0]):
        for stage in range(answers[module].stages):
            _fix(model, [_Fixing(module, answers[module], stage)], batches, leave=True)


class _Left(Exception):
    """The one norm that matters has seen its map."""


class _Pool:
    """Moments of all that a norm has seen, per channel, in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor = torch.zeros((), dtype=torch.float64)
        self.squares: Tensor = torch.zeros((), dtype=torch.float64)  # the sum of squared distances from the mean

    def add(self, count: int, mean: Tensor, variance: Tensor) -> None:
        apart = mean - self.mean
        both = self.count + count
        self.squares = self.squares + variance * count + apart * apart * (self.count * count / both)
        self.mean = self.mean + apart * (count / both)
        self.count = both


class _Fixing:
    """A norm whose statistics of a stage, or of all, are gathered."""

    def __init__(self, module: nn.Module, kept: RunningStatistics, stage: int | None) -> None:
        self.module, self.kept, self.stage = module, kept, stage
        self.pools: list[_Pool] = []

    def see(self, x: Tensor) -> None:
        seen = self.kept.arguments(x.to(torch.promote_types(x.dtype, torch.float32)), self.stage)
        self.pools = self.pools or [_Pool() for _ in seen]
        for pool, argument in zip(self.pools, seen, strict=True):
            # Not what the norm itself reckons with: torch's sums over a map in channels-last order lose four digits.
            variance, mean = torch.var_mean(argument, (0, *range(2, argument.ndim)), correction=0)
            pool.add(x.numel() // x.shape[1], mean.double(), variance.double())

    def write(self, batches: int) -> None:
        if self.pools:
            self.kept.settle([(pool.mean, pool.squares / pool.count) for pool in self.pools], batches, self.stage)


def _fix(model: nn.Module, norms: Sequence[_Fixing], batches: Sequence[Tensor], *, leave: bool = False) -> None:
    """Pool what `norms` see in a pass over `batches`, and write it; with `leave` a pass goes no further than to them."""

    def gather(norm: _Fixing) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            norm.see(inputs[0])
            if leave:
                raise _Left

        return hook

    with ExitStack() as hooks:
        for norm in norms:
            norm.module.train()
            hooks.enter_context(norm.module.register_forward_pre_hook(gather(norm)))
        for batch in batches:
            try:
                model(batch)
            except _Left:
                continue
    for norm in norms:
        norm.module.eval()
        norm.write(len(batches))


def _in_order(model: nn.Module, norms: Sequence[nn.Module], batch: Tensor) -> list[nn.Module]:
    """The norms as the forward meets them."""
    met: list[nn.Module] = []
    with ExitStack() as hooks:
        for norm in norms:
            hooks.enter_context(norm.register_forward_pre_hook(lambda module, _: met.append(module)))
        model(batch[:1])
    return met
