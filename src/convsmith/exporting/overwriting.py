"""Modules that overwrite what they are given, as an exporter would rather not have them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

__all__ = ["stop_overwriting"]


@torch.no_grad()
def stop_overwriting(network: nn.Module, given: tuple[Tensor, ...]) -> None:
    """Let no module of `network` work in place, unless what it puts out for `given` would be another: where a skip reads what an
    activation has changed, answers rest on the change.

    A file holds the same operations either way. But torch's exporter works out what it is to overwrite a map whose batch may be
    of any size, which for ReLU6 takes half of its time.
    """
    modules = [module for module in network.modules() if getattr(module, "inplace", False) is True]
    if not modules:
        return
    before = _put_out(network, given)
    _set(modules, inplace=False)
    if not all(map(torch.equal, before, _put_out(network, given))):
        _set(modules, inplace=True)


def _set(modules: list[nn.Module], *, inplace: bool) -> None:
    for module in modules:
        module.inplace = inplace  # type: ignore[assignment]


def _put_out(network: nn.Module, given: tuple[Tensor, ...]) -> list[Tensor]:
    return tree_leaves(network(*(one.clone() for one in given)))
