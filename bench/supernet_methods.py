"""Ways to train a supernet that `supernet.py` compares: the whole method, and with one thing left out."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from convsmith.arch import ArchSpec
from convsmith.recipe import Recipe
from convsmith.supernet import Space, Supernet
from convsmith.supernet.sandwich import Draw, Gradients, Sandwich, drawn, sandwich


def without_ends(
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
    """Drawn children alone, which learn from labels, since there is nobody to learn from: no sandwich."""
    losses = _labelled(supernet, images, labels, children, recipe)
    for parameter in supernet.model.parameters():  # what no child of this step used
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        return Sandwich(supernet.child(children[0])(images), losses[0], losses[1:])


def four_drawn(space: Space, *, seed: int, step: int, randoms: int) -> tuple[ArchSpec, ...]:
    rng = random.Random(f"{seed} {step}")
    return tuple(space.sample(rng) for _ in range(randoms + 2))


def _labelled(
    supernet: Supernet, images: Tensor, labels: Tensor, children: Sequence[ArchSpec], recipe: Recipe
) -> tuple[Tensor, ...]:
    losses = []
    for spec in children:
        loss = F.cross_entropy(supernet.child(spec)(images), labels, label_smoothing=recipe.smoothing)
        loss.backward()
        losses.append(loss.detach())
    return tuple(losses)


@dataclass(frozen=True)
class Method:
    """One way to train the supernet."""

    name: str
    floor: float = 0.05
    labels_first: float = 0.0
    draw: Draw = drawn
    gradients: Gradients = sandwich


WHOLE = Method("whole")
LABELS_FIRST = Method("labels first", labels_first=0.5)
ABLATIONS = (
    LABELS_FIRST,
    Method("without distillation", labels_first=1.0),
    Method("without sandwich and distillation", draw=four_drawn, gradients=without_ends),
    Method("without constant ending", floor=0.0),
)
