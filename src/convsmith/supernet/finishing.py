"""A child that was cut out of its supernet and is trained on by itself, with the biggest child as its teacher."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..layers import DropPath
from ..model import Model
from ..recipe import Recipe
from ..training import Moment, Objective, Turn, summed
from .shared import resized

__all__ = ["Finishing"]


class Finishing:
    """`model` trained in place, for outputs o, answers y and a `teacher`'s outputs t on the same images, by

        (L(o, y) + D(o, t)) / 2,    L the objective's loss, D its distillation

    Images come as the supernet saw them: each network is shown them at its own resolution, and the child is not regularised.
    The teacher is a network in evaluation mode, and stays as it is.
    """

    def __init__(self, model: Model, teacher: Model, objective: Objective, recipe: Recipe) -> None:
        self.product = model
        self._teacher, self._objective, self._recipe = teacher.eval(), objective, recipe

    @property
    def turns(self) -> tuple[Turn, ...]:
        return (Turn(self.product),)

    @property
    def identity(self) -> dict[str, str]:
        return {}

    @property
    def terms(self) -> tuple[str, ...]:
        return ()

    def handed(self, module: nn.Module) -> nn.Module:
        return module

    def gradients(self, turn: nn.Module, images: Tensor, answers: Any, moment: Moment) -> Tensor:
        turn.train()
        for module in turn.modules():
            if isinstance(module, (nn.Dropout, DropPath)):
                module.eval()
        sides, theirs = self.product.spec.input.sides, self._teacher.spec.input.sides
        with moment.cast():
            images, answers = self._objective.shown(images, answers, self._recipe, moment.epoch)
            with torch.no_grad():
                said = self._teacher(resized(images, theirs))
            seen = self._objective.loss(lambda batch: turn(resized(batch, sides)), images, answers, self._recipe)
            loss = (seen.loss + self._objective.distilled(seen.outputs, said)) / 2
        moment.descend(loss)
        return summed(loss, seen.score, len(answers))
