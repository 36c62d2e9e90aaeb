"""Ways to train a supernet that `supernet.py` compares: the whole method, and with one thing left out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from convsmith.arch import ArchSpec
from convsmith.recipe import Recipe
from convsmith.supernet import Space, Supernet
from convsmith.supernet.drawing import Draw, drawn
from convsmith.supernet.sandwich import Gradients, Seen, sandwich
from convsmith.training import Moment, Network, Objective


def without_ends(
    supernet: Supernet,
    objective: Objective,
    images: Tensor,
    answers: Tensor,
    children: Sequence[ArchSpec],
    recipe: Recipe,
    moment: Moment,
    *,
    labelled: bool = False,
    teacher: Network | None = None,
) -> Seen:
    """Drawn children alone, which learn from labels, since there is nobody to learn from: no sandwich."""
    seen = []
    for spec in children:
        seen.append(objective.loss(supernet.child(spec), images, answers, recipe))
        moment.descend(seen[-1].loss)
    for parameter in supernet.model.parameters():  # what no child of this step used
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    losses = tuple(one.loss.detach() for one in seen)
    return Seen(losses[0], seen[0].score, losses[1:])


def four_drawn(space: Space, *, seed: int, step: int, randoms: int) -> tuple[ArchSpec, ...]:
    rng = random.Random(f"{seed} {step}")
    return tuple(space.sample(rng) for _ in range(randoms + 2))


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
