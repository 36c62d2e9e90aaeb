"""Constants of normaliser-free blocks folded into the filters beside them: gains, 1/beta, alpha and SkipInit's scalar."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn

from ..layers import ConvNorm, Gained, Residual
from ..parts.heads.classifier import Classifier

__all__ = ["fold_constants"]


@torch.no_grad()
def fold_constants(model: nn.Module) -> nn.Module:
    """An eval-mode copy of `model` in which residual blocks multiply by nothing that their convolutions can carry, nor a
    head by what its linear layer can.

    A factor behind an activation goes into the filters of the convolution that reads it, and of a projection on the skip
    where that reads it too; alpha times SkipInit's scalar goes into the filters and the bias of the branch's last
    convolution, unless a gate stands behind it. The head's goes through the mean over space into the classifier. The
    function is the same up to rounding. To be called when standardised filters are plain (`fold_filters`): these would
    standardise a factor away.
    """
    folded = copy.deepcopy(model).eval()
    for module in folded.modules():
        if isinstance(module, Residual) and isinstance(module.branch, nn.Sequential):
            _fold(module, module.branch)
        elif isinstance(module, Classifier):
            reader = module.fc if isinstance(module.hidden, nn.Identity) else module.hidden
            if isinstance(reader, nn.Linear):
                for gained in _last_gains(module.conv):
                    reader.weight.mul_(gained.gain)
                    gained.gain = 1.0
    return folded


def _fold(block: Residual, branch: nn.Sequential) -> None:
    children = list(branch)
    readers = [_conv(children[0])] if children else []
    if block.skip is not None and not isinstance(block.skip, nn.Identity):
        readers += [module for module in block.skip.modules() if isinstance(module, nn.Conv2d | nn.Conv3d)] or [None]
    if isinstance(block.pre, Gained) and readers and all(reader is not None for reader in readers):
        factor, block.pre.gain = block.pre.gain, 1.0
        for reader in readers:
            assert reader is not None
            reader.weight.mul_(factor)
    for before, after in pairwise(children):
        reader = _conv(after)
        if reader is not None:
            for gained in _last_gains(before):
                reader.weight.mul_(gained.gain)
                gained.gain = 1.0
    last = children[-1] if children else None
    if isinstance(last, nn.Conv2d | nn.Conv3d) and block.skip is not None:
        factor = block.alpha * (1.0 if block.gain is None else float(block.gain))
        last.weight.mul_(factor)
        if last.bias is not None:
            last.bias.mul_(factor)
        block.alpha, block.gain = 1.0, None


def _conv(module: nn.Module) -> nn.Conv2d | nn.Conv3d | None:
    """The convolution that reads what enters a module first."""
    inner = module.conv if isinstance(module, ConvNorm) else module
    return inner if isinstance(inner, nn.Conv2d | nn.Conv3d) else None


def _last_gains(module: nn.Module) -> Iterator[Gained]:
    """The factor that a module multiplies its output by."""
    inner = module.norm if isinstance(module, ConvNorm) else module
    if isinstance(inner, Gained):
        yield inner
