"""One network that learns from its data: the ordinary trainee."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..errors import UserError
from ..layers import running
from ..recipe import Norms, Recipe, SandwichRule
from .optim import answering
from .step import Moment, Objective, Turn, summed

__all__ = ["Single", "refuse_sandwich"]


class Single:
    """`model` trained in place towards `objective`, a task, by `recipe`.

    A recipe that is `frozen` trains the head's last layer alone, on features as evaluation has them; one whose `norms` are
    leaves those norms in evaluation mode that `model` comes with statistics for.
    """

    def __init__(self, model: nn.Module, objective: Objective, recipe: Recipe) -> None:
        refuse_sandwich(recipe)
        self.product = model
        self._objective, self._recipe = objective, recipe
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and recipe.batch_norm_momentum:
                module.momentum = recipe.batch_norm_momentum
        self._kept = _with_statistics(model) if recipe.norms is Norms.FROZEN else ()
        if recipe.frozen:
            last = answering(model)
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name.startswith(last))

    @property
    def turns(self) -> tuple[Turn, ...]:
        return (Turn(self.product),)

    @property
    def identity(self) -> dict[str, str]:
        return {}

    @property
    def terms(self) -> tuple[str, ...]:
        return self._objective.terms

    def handed(self, module: nn.Module) -> nn.Module:
        return module

    def gradients(self, turn: nn.Module, images: Tensor, answers: Any, moment: Moment) -> Tensor:
        turn.train(not self._recipe.frozen)
        for norm in self._kept:
            norm.eval()
        with moment.cast():
            images, answers = self._objective.shown(images, answers, self._recipe, moment.epoch)
            seen = self._objective.loss(turn, images, answers, self._recipe)
        moment.descend(seen.loss)
        return summed(seen.loss, seen.score, len(answers), seen.terms)


def refuse_sandwich(recipe: Recipe) -> None:
    """Raise `UserError` where the recipe says how the children of a supernet are trained, which one network has none of."""
    if recipe.sandwich != SandwichRule():
        raise UserError(
            f"recipe '{recipe.name}' sets sandwich, which is of the children of a supernet: `search` reads it, a training of one "
            "network does not"
        )


def _with_statistics(model: nn.Module) -> tuple[nn.Module, ...]:
    """The norms that have statistics of batches, which are no more those that a norm begins with."""
    kept = ((module, running(module)) for module in model.modules())
    return tuple(module for module, own in kept if own is not None and not own.untouched())
