"""The sandwich: in every step the biggest child learns from labels, the others from the biggest."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..arch import ArchSpec
from ..costs import cost
from ..errors import UserError
from ..model import Model
from ..recipe import Keep, Recipe
from ..training import Lookout, Moment, Objective, Ranks, Turn, Watch, summed
from ..watcher import Watched
from .shared import Supernet
from .space import Space

__all__ = ["Draw", "Gradients", "Sandwich", "Seen", "assert_distinct", "drawn", "ends", "refuse_recipe", "sandwich"]


@dataclass(frozen=True)
class Seen:
    """What one step saw: the biggest child's loss and running score, and each other child's loss, in their order."""

    loss: Tensor
    score: Tensor
    children: tuple[Tensor, ...]


class Draw(Protocol):
    """Which children a step has beside the biggest; a function of its arguments alone."""

    def __call__(self, space: Space, *, seed: int, step: int, randoms: int) -> tuple[ArchSpec, ...]: ...


class Gradients(Protocol):
    """Adds to the gradients of `supernet.model` those of one batch."""

    def __call__(
        self,
        supernet: Supernet,
        objective: Objective,
        images: Tensor,
        answers: Any,
        children: Sequence[ArchSpec],
        recipe: Recipe,
        moment: Moment,
        *,
        labelled: bool = False,
    ) -> Seen: ...


def drawn(space: Space, *, seed: int, step: int, randoms: int) -> tuple[ArchSpec, ...]:
    """The children of a step beside the biggest: `randoms` drawn ones, and the smallest last.

    Depends on seed and step alone, so every process of a run, and a resumed run, draws the same.
    """
    rng = random.Random(f"{seed} {step}")
    return (*(space.sample(rng) for _ in range(randoms)), space.smallest())


def sandwich(
    supernet: Supernet,
    objective: Objective,
    images: Tensor,
    answers: Any,
    children: Sequence[ArchSpec],
    recipe: Recipe,
    moment: Moment,
    *,
    labelled: bool = False,
) -> Seen:
    """Add to the gradients of `supernet.model` those of one batch (Yu et al., 2020), for labels y and outputs o:

        CE(o, y)  +  sum over children of -mean sum p log q,    p = softmax(o), constant

    o is the biggest child's output, regularised: dropout, stochastic depth, label smoothing and mixed images are its own, and
    what it teaches comes from that same pass. The others, on the same images each at its resolution, are not regularised
    and see no answers; where `labelled`, they learn from answers as the biggest does, and not from it. Losses are summed, not
    averaged: the biggest holds every weight, so an optimiser that decays weights once a step decays them for the biggest
    alone. Each child's graph is gone before the next is made, so memory peaks with the biggest.
    """
    with moment.cast():
        images, answers = objective.shown(images, answers, recipe, moment.epoch)
        biggest = objective.loss(supernet.child(supernet.space.biggest(), regularised=True), images, answers, recipe)
    moment.descend(biggest.loss)
    teacher = _constant(biggest.outputs)
    losses = []
    for spec in children:
        with moment.cast():
            if labelled:
                learnt = objective.loss(supernet.child(spec), images, answers, recipe).loss
            else:
                learnt = objective.distilled(supernet.child(spec)(images), teacher)
        moment.descend(learnt)
        losses.append(learnt.detach())
    return Seen(biggest.loss.detach(), biggest.score, tuple(losses))


def _constant(outputs: Any) -> Any:
    """Outputs that no gradient flows back through: a tensor, or several."""
    return outputs.detach() if isinstance(outputs, Tensor) else tuple(one.detach() for one in outputs)


class Sandwich:
    """The supernet as who is trained: the biggest child, `randoms` drawn ones, the smallest in every step.

    For the share `labels_first` of the steps all children learn from answers, and only then from the biggest. The paper's is
    0; in a short training the biggest has nothing to teach at first, and holding to it costs all of them accuracy. `draw` and
    `gradients` are the sandwich's two halves, for studies that change one.

    Raises:
        UserError: a recipe that a supernet cannot be trained by.
    """

    def __init__(
        self,
        supernet: Supernet,
        objective: Objective,
        recipe: Recipe,
        *,
        seed: int,
        randoms: int = 2,
        labels_first: float = 0.0,
        draw: Draw = drawn,
        gradients: Gradients = sandwich,
    ) -> None:
        refuse_recipe(recipe)
        self._supernet, self._objective, self._recipe = supernet, objective, recipe
        self._seed, self._randoms, self._labels_first = seed, randoms, labels_first
        self._draw, self._gradients = draw, gradients

    @property
    def turns(self) -> tuple[Turn, ...]:
        return (Turn(self._supernet.model),)

    @property
    def product(self) -> nn.Module:
        return self._supernet.model

    @property
    def identity(self) -> dict[str, str]:
        return {"space": self._supernet.space.key}

    @property
    def terms(self) -> tuple[str, ...]:
        return ()

    def handed(self, module: nn.Module) -> Supernet:
        if module is self._supernet.model:
            return self._supernet
        assert isinstance(module, Model)
        return self._supernet.over(module)

    def gradients(self, turn: nn.Module, images: Tensor, answers: Any, moment: Moment) -> Tensor:
        children = self._draw(self._supernet.space, seed=self._seed, step=moment.step, randoms=self._randoms)
        labelled = moment.step < self._labels_first * moment.steps
        seen = self._gradients(
            self._supernet, self._objective, images, answers, children, self._recipe, moment, labelled=labelled
        )
        return summed(seen.loss, seen.score, len(answers))


def refuse_recipe(recipe: Recipe) -> None:
    """Raise `UserError` where a supernet cannot be trained by `recipe`."""
    if recipe.frozen or recipe.first_side < 1:
        raise UserError(
            "a supernet is trained whole and at its children's resolutions: set frozen=False and first_side=1"
        )
    if recipe.keep is not Keep.LAST or recipe.patience:
        raise UserError(
            "a supernet is trained to its end, and its children are chosen then: leave out keep and patience"
        )


def ends(supernet: Supernet, objective: Objective, recipe: Recipe, *, chance: float, every: int = 50) -> Lookout:
    """A lookout for the smallest and the biggest child: their losses on a batch, by its statistics, over all processes' parts."""
    plain = replace(recipe, smoothing=0.0, mixup=0.0, cutmix=0.0)

    @torch.no_grad()
    def look(images: Tensor, answers: Any, ranks: Ranks) -> tuple[float, float]:
        sums = torch.zeros(3, dtype=torch.float64, device=images.device)
        if len(answers):
            for which, spec in enumerate((supernet.space.smallest(), supernet.space.biggest())):
                loss = objective.loss(supernet.child(spec), images, answers, plain).loss
                sums[which] = loss.double() * len(answers)
            sums[2] = len(answers)
        ranks.total(sums)
        small, big, count = sums.tolist()
        return small / max(1, count), big / max(1, count)

    def judged(watch: Watch, losses: tuple[float, ...]) -> str:
        return watch.judged(losses, chance)

    def told(step: int, losses: tuple[float, ...], share: float) -> Watched:
        smallest, biggest = losses
        return Watched(step, smallest, biggest, share)

    return Lookout(look, judged, told, every, lambda images: assert_distinct(supernet, images))


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
    if one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-6):
        raise UserError(f"{small.name}'s smallest and biggest child give the same answers: the weights are not sliced")


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
