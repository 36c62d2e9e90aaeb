"""Our names for weights, and other packages' names for the same weights.

A dialect is a table of rename rules over our own keys (`dialects/`). Applied to the keys of a spec it gives a dictionary
from ours to theirs, which read backwards is the way in and read forwards the way out. A key that no rule names is a
mistake in the table, never skipped. Shapes may differ by axes of length 1: a squeeze-excitation is a linear layer here
and a 1x1 convolution there.
"""

from __future__ import annotations

import re
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache

import torch
from torch import Tensor

from ..arch import ArchSpec
from ..errors import UserError
from ..model import Model, build
from ..parts.heads.classifier import PooledClassifier
from .dialects import TABLE

__all__ = ["BEHIND", "Dialect", "dialects", "names", "renamed", "shapes", "to_timm"]

State = dict[str, Tensor]

# How the keys begin of what stands behind a trunk, and may be new where the trunk has weights.
BEHIND = ("neck.", "head.")


class Dialect(StrEnum):
    """Whose names a file's keys are."""

    OURS = "convsmith"
    TIMM = "timm"
    TORCHVISION = "torchvision"
    TORCHVISION_DETECTION = "torchvision-detection"
    LITE = "efficientnet-lite"


def dialects(spec: ArchSpec) -> tuple[Dialect, ...]:
    """The dialects that have a name for every weight of this network, ours first."""
    found = [Dialect.OURS]
    for name, table in TABLE.items():
        if type(spec.stages[0].block) in table:
            with suppress(LookupError):
                names(spec, Dialect(name))
                found.append(Dialect(name))
    return tuple(found)


@lru_cache(maxsize=512)
def shapes(spec: ArchSpec) -> dict[str, torch.Size]:
    """Our keys for this network and their shapes."""
    return {key: tensor.shape for key, tensor in build(spec, device="meta").state_dict().items()}


@lru_cache(maxsize=512)
def names(spec: ArchSpec, dialect: Dialect) -> dict[str, str]:
    """From each of our keys to the key of the same tensor in `dialect`. A `LookupError` names what it has no word for."""
    if dialect is Dialect.OURS:
        return {key: key for key in shapes(spec)}
    rules = TABLE[dialect.value][type(spec.stages[0].block)](spec)
    compiled = [(re.compile(pattern), template) for pattern, template in rules]
    found = {}
    for key in shapes(spec):
        match = next(((m, template) for rule, template in compiled if (m := rule.fullmatch(key))), None)
        if match is None and key.startswith(BEHIND) and not isinstance(spec.head, PooledClassifier):
            found[key] = key  # a neck or a head that no package has: in their files its weights have no name
            continue
        if match is None:
            raise LookupError(f"{dialect} has no name for {key} of {spec.name}")
        found[key] = match[0].expand(match[1])
    return found


def renamed(spec: ArchSpec, state: State, dialect: Dialect) -> State:
    """Those of their tensors that are there, under our names, in our shapes where these differ by axes of length 1 only."""
    own, theirs = shapes(spec), names(spec, dialect)
    return {ours: _reshaped(state[key], own[ours]) for ours, key in theirs.items() if key in state}


def to_timm(model: Model) -> State:
    """The weights of `model` under the names that timm gives the same network, ready for its `load_state_dict`.

    Shapes are ours: where timm holds a 1x1 convolution for a linear layer, timm loads it after a `view`.

    Raises:
        UserError: timm has no such network.

    >>> import convsmith as cs
    >>> next(iter(cs.to_timm(cs.create("tinynet_e"))))
    'conv_stem.weight'
    """
    try:
        if not isinstance(model.spec.head, PooledClassifier):
            raise LookupError(f"its head, {model.spec.head.describe()}, is no classifier")
        theirs = names(model.spec, Dialect.TIMM)
    except LookupError as error:
        raise UserError(f"timm has no names for {model.spec.name}: {error}") from None
    return {theirs[key]: tensor for key, tensor in model.state_dict().items()}


def _reshaped(tensor: Tensor, shape: torch.Size) -> Tensor:
    same = [n for n in tensor.shape if n != 1] == [n for n in shape if n != 1]
    return tensor.reshape(shape) if same else tensor
