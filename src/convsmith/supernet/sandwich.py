"""The sandwich: in every step the biggest child learns from labels, the others from the biggest."""

from __future__ import annotations

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
from ..recipe import Aggregation, Keep, Recipe, Teacher
from ..training import Lookout, Moment, Network, Objective, Ranks, Turn, Watch, summed
from ..watcher import Watched
from .drawing import DRAWS, Draw
from .shared import Supernet

__all__ = ["Gradients", "Sandwich", "Seen", "assert_distinct", "ends", "refuse_recipe", "sandwich"]


@dataclass(frozen=True)
class Seen:
    """What one step saw: the biggest child's loss and running score, and each other child's loss, in their order."""

    loss: Tensor
    score: Tensor
    children: tuple[Tensor, ...]


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
        teacher: Network | None = None,
    ) -> Seen: ...


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
    teacher: Network | None = None,
) -> Seen:
    """Add to the gradients of `supernet.model` those of one batch (Yu et al., 2020), for labels y and outputs o:

        CE(o, y)  +  sum over children of -mean sum p log q,    p = softmax(o), constant

    o is the biggest child's output, regularised: dropout, stochastic depth, label smoothing and mixed images are its own, and
    what it teaches comes from that same pass. The others, on the same images each at its resolution, are not regularised
    and see no answers; where `labelled`, they learn from answers as the biggest does, and not from it. Losses are summed, not
    averaged: the biggest holds every weight, so an optimiser that decays weights once a step decays them for the biggest
    alone. Each child's graph is gone before the next is made, so memory peaks with the biggest.

    The recipe's `sandwich` mixes answers into what children learn and averages losses, see `SandwichRule`. A `teacher` that is
    given says p instead of the biggest's own pass.
    """
    rule = recipe.sandwich
    mean = rule.gradients is Aggregation.MEAN
    moment = replace(moment, share=moment.share / (1 + len(children))) if mean else moment
    labels = 1.0 if labelled else rule.labels
    with moment.cast():
        images, answers = objective.shown(images, answers, recipe, moment.epoch)
        biggest = objective.loss(supernet.child(supernet.space.biggest(), regularised=True), images, answers, recipe)
    moment.descend(biggest.loss)
    said = _constant(biggest.outputs)
    if teacher is not None and children:
        with torch.no_grad(), moment.cast():
            said = teacher(images)
    losses = []
    for spec in children:
        child = supernet.child(spec)
        with moment.cast():
            if labels:
                own = objective.loss(child, images, answers, recipe)
                learnt = own.loss
                if labels < 1:
                    learnt = labels * learnt + (1 - labels) * objective.distilled(own.outputs, said)
            else:
                learnt = objective.distilled(child(images), said)
        moment.descend(learnt)
        losses.append(learnt.detach())
    return Seen(biggest.loss.detach(), biggest.score, tuple(losses))


def _constant(outputs: Any) -> Any:
    """Outputs that no gradient flows back through: a tensor, or several."""
    return outputs.detach() if isinstance(outputs, Tensor) else tuple(one.detach() for one in outputs)


class Sandwich:
    """The supernet as who is trained: the biggest child, drawn ones, the smallest in every step, by the recipe's `sandwich`.

    For the share `labels_first` of the steps all children learn from answers, and only then from the biggest. The paper's is
    0; in a short training the biggest has nothing to teach at first, and holding to it costs all of them accuracy. `draw`, by
    default the recipe's, and `gradients` are the sandwich's two halves, for studies that change one.

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
        labels_first: float = 0.0,
        draw: Draw | None = None,
        gradients: Gradients = sandwich,
    ) -> None:
        refuse_recipe(recipe)
        self._supernet, self._objective, self._recipe = supernet, objective, recipe
        self._seed, self._labels_first = seed, labels_first
        self._draw, self._gradients = draw or DRAWS[recipe.sandwich.drawn], gradients
        self._average: Supernet | None = None

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
        rule, space = self._recipe.sandwich, self._supernet.space
        children: tuple[ArchSpec, ...] = ()
        if moment.step >= rule.first * moment.steps:
            children = self._draw(space, seed=self._seed, step=moment.step, randoms=rule.randoms)
        seen = self._gradients(
            self._supernet,
            self._objective,
            images,
            answers,
            children,
            self._recipe,
            moment,
            labelled=moment.step < self._labels_first * moment.steps,
            teacher=self._teacher(moment) if rule.teacher is Teacher.AVERAGE else None,
        )
        return summed(seen.loss, seen.score, len(answers))

    def _teacher(self, moment: Moment) -> Network:
        """The biggest child on the moving average of the weights."""
        assert isinstance(moment.average, Model)  # `refuse_recipe` has seen to it that there is one
        if self._average is None or self._average.model is not moment.average:
            self._average = self._supernet.over(moment.average)
        return self._average.child(self._supernet.space.biggest())


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
    if recipe.sandwich.teacher is Teacher.AVERAGE and not recipe.average:
        raise UserError(
            "sandwich.teacher=average is the moving average of the biggest, and this recipe has none: --set average=0.9999"
        )


def ends(supernet: Supernet, objective: Objective, recipe: Recipe, *, chance: float, every: int = 50) -> Lookout:
    """A lookout for the smallest and the biggest child: their losses on a batch, by its statistics, over all processes' parts.

    Where the recipe trains the biggest alone at first, the smallest is part of weights that were made without it: it is watched
    when it has once been better than a guess after that.
    """
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

    def judged(watch: Watch, losses: tuple[float, ...], done: float) -> str:
        first = recipe.sandwich.first
        if first and (done <= first or not watch.usual or watch.usual[0] > chance):
            losses = (0.0, *losses[1:])
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
