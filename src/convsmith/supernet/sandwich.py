"""One step of the sandwich: the biggest child learns from labels, the others from the biggest."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ..arch import ArchSpec
from ..costs import cost
from ..errors import UserError
from ..recipe import Recipe
from ..training.objective import mixed, mixed_loss
from .shared import Supernet
from .space import Space

__all__ = ["Draw", "Gradients", "Sandwich", "assert_distinct", "drawn", "sandwich", "soft_cross_entropy"]


@dataclass(frozen=True)
class Sandwich:
    """What one step saw: the biggest child's logits ⟨N,classes⟩ and loss, and each other child's loss, in their order."""

    logits: Tensor
    loss: Tensor
    distilled: tuple[Tensor, ...]


class Draw(Protocol):
    """Which children a step has beside the biggest; a function of its arguments alone."""

    def __call__(self, space: Space, *, seed: int, step: int, randoms: int) -> tuple[ArchSpec, ...]: ...


class Gradients(Protocol):
    """Adds to the gradients of `supernet.model` those of one batch."""

    def __call__(
        self,
        supernet: Supernet,
        images: Tensor,
        labels: Tensor,
        children: Sequence[ArchSpec],
        recipe: Recipe,
        *,
        labelled: bool = False,
        share: float = 1.0,
        scaled: Callable[[Tensor], Tensor] = lambda loss: loss,
        autocast: torch.dtype | None = None,
    ) -> Sandwich: ...


def drawn(space: Space, *, seed: int, step: int, randoms: int) -> tuple[ArchSpec, ...]:
    """The children of a step beside the biggest: `randoms` drawn ones, and the smallest last.

    Depends on seed and step alone, so every process of a run, and a resumed run, draws the same.
    """
    rng = random.Random(f"{seed} {step}")
    return (*(space.sample(rng) for _ in range(randoms)), space.smallest())


def sandwich(
    supernet: Supernet,
    images: Tensor,
    labels: Tensor,
    children: Sequence[ArchSpec],
    recipe: Recipe,
    *,
    labelled: bool = False,
    share: float = 1.0,
    scaled: Callable[[Tensor], Tensor] = lambda loss: loss,
    autocast: torch.dtype | None = None,
) -> Sandwich:
    """Add to the gradients of `supernet.model` those of one batch (Yu et al., 2020):

        CE(o, y)  +  sum over children of -mean sum p log q,    p = softmax(o), constant

    o is the biggest child's output, regularised: dropout, stochastic depth, label smoothing and mixed images are its own, and
    its soft labels come from that same pass. The others, on the same images each at its resolution, are not regularised
    and see no labels; where `labelled`, they learn from labels as the biggest does, and not from it. Losses are summed, not
    averaged: the biggest holds every weight, so an optimiser that decays weights once a step decays them for the biggest
    alone. Each child's graph is gone before the next is made, so memory peaks with the biggest.

    `share` weighs the batch as a part of a bigger one; `scaled` is a gradient scaler's.
    """
    on = images.device.type
    with torch.autocast(on, dtype=autocast, enabled=autocast is not None):
        own: Tensor | None = None
        if recipe.mixup or recipe.cutmix:
            images, own = mixed(images, mixup=recipe.mixup, cutmix=recipe.cutmix)
        logits = supernet.child(supernet.space.biggest(), regularised=True)(images).float()
        loss = mixed_loss(logits, labels, own, smoothing=recipe.smoothing)
    scaled(loss * share).backward()  # type: ignore[no-untyped-call]
    logits = logits.detach()
    soft = logits.softmax(1)
    losses = []
    for spec in children:
        with torch.autocast(on, dtype=autocast, enabled=autocast is not None):
            answer = supernet.child(spec)(images)
            if labelled:
                learnt = mixed_loss(answer.float(), labels, own, smoothing=recipe.smoothing)
            else:
                learnt = soft_cross_entropy(answer, soft)
        scaled(learnt * share).backward()  # type: ignore[no-untyped-call]
        losses.append(learnt.detach())
    return Sandwich(logits, loss.detach(), tuple(losses))


def soft_cross_entropy(logits: Tensor, soft: Tensor) -> Tensor:
    """-mean over images of sum p log softmax(logits), at temperature 1, in single precision or better."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return -(soft * logits.log_softmax(1)).sum(1).mean()


@torch.no_grad()
def assert_distinct(supernet: Supernet, images: Tensor) -> None:
    """Refuse to train a supernet whose smallest and biggest child cost the same or say the same of `images`.

    Residual branches start at 0, where depth and kernel change nothing, so what is 0 counts as 1 while this looks.

    Raises:
        UserError: saying which of the two it is.
    """
    small, big = supernet.space.smallest(), supernet.space.biggest()
    if small == big:
        raise UserError(f"{small.name}'s space holds one network only: train that one by itself")
    if cost(small) == cost(big):
        raise UserError(f"{small.name}'s smallest and biggest child cost the same, {cost(big)}: nothing to choose")
    with _awake(supernet.model):
        one, other = (supernet.child(spec)(images).float() for spec in (small, big))
    if torch.allclose(one, other, rtol=1e-4, atol=1e-6):
        raise UserError(f"{small.name}'s smallest and biggest child give the same logits: the weights are not sliced")


@contextmanager
def _awake(model: nn.Module) -> Iterator[None]:
    asleep = [parameter for parameter in model.parameters() if not parameter.any()]
    for parameter in asleep:
        parameter.fill_(1)
    try:
        yield
    finally:
        for parameter in asleep:
            parameter.zero_()
