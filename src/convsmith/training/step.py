"""One training step, whoever trains: the gradients of a batch, in parts, put together, clipped and taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from ..recipe import Recipe
from .clip import clip_adaptively
from .ranks import Ranks

__all__ = ["Answers", "Batch", "Loss", "Moment", "Network", "Objective", "Trainee", "Turn", "step", "summed"]

O = TypeVar("O")  # noqa: E741  # what a network puts out
Network = Callable[[Tensor], Any]


class Answers(Protocol):
    """What should come out for the inputs of a batch: labels, joints, boxes. A tensor whose first axis counts inputs is one."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> Self: ...
    def to(self, device: torch.device, *, non_blocking: bool = False) -> Self: ...


class Batch(Protocol):
    """uint8 images ⟨N,C,H,W⟩ and the answers to them."""

    @property
    def images(self) -> Tensor: ...
    @property
    def answers(self) -> Any: ...


@dataclass(frozen=True)
class Loss(Generic[O]):
    """What a network put out for a batch, the loss to go down on, and the running score: summed over the inputs. `terms` are
    what the loss is the sum of, in the order of `Objective.terms`, which names them."""

    outputs: O
    loss: Tensor
    score: Tensor
    terms: tuple[Tensor, ...] = ()


class Objective(Protocol):
    """What a task is to training. `tasks.Task` explains the methods."""

    @property
    def terms(self) -> tuple[str, ...]: ...
    def shown(self, images: Tensor, answers: Any, recipe: Recipe, epoch: int) -> tuple[Tensor, Any]: ...
    def loss(self, network: Network, images: Tensor, answers: Any, recipe: Recipe) -> Loss[Any]: ...
    def distilled(self, student: Any, teacher: Any) -> Tensor: ...


@dataclass(frozen=True)
class Moment:
    """Where training is, and how a part of this step's batch is to be dealt with.

    `step` and `epoch` count from 0. `share` is the part's share of the batch, by which its loss is weighed; `scaled` is a
    gradient scaler's; `autocast` the dtype of forward passes, None for the weights' own. `average` is the moving average of what
    is trained, as it is before this step, None where the recipe has none.
    """

    step: int
    steps: int
    epoch: int
    device: torch.device
    share: float = 1.0
    scaled: Callable[[Tensor], Tensor] = lambda loss: loss
    autocast: torch.dtype | None = None
    average: nn.Module | None = None

    def cast(self) -> torch.autocast:
        """The context that forward passes run in."""
        return torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None)

    def descend(self, loss: Tensor) -> None:
        """Add the gradients of a part's mean loss."""
        self.scaled(loss * self.share).backward()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class Turn:
    """A module with an optimiser of its own, trained at `rate`, a share of the recipe's, in the last of each `every` steps."""

    module: nn.Module
    rate: float = 1.0
    every: int = 1

    def due(self, step: int) -> bool:
        """Whether `step`, counted from 0, trains it."""
        return (step + 1) % self.every == 0


class Trainee(Protocol):
    """Who is trained: one network (`Single`), a supernet by sandwiches (`supernet.Sandwich`), or several in turns
    (`Adversaries`).

    `turns` are what a step trains, one after another; `product` is the module whose weights are averaged and handed over.
    `identity` says what a checkpoint must have been of to go on with; `terms` names what its loss is told apart into.
    """

    @property
    def turns(self) -> tuple[Turn, ...]: ...
    @property
    def product(self) -> nn.Module: ...
    @property
    def identity(self) -> dict[str, str]: ...
    @property
    def terms(self) -> tuple[str, ...]: ...

    def handed(self, module: nn.Module) -> Any:
        """What is evaluated: `module` is the product, or the moving average of it."""

    def gradients(self, turn: nn.Module, images: Tensor, answers: Any, moment: Moment) -> Tensor:
        """Add to the gradients of the module `turn` those of a part of a batch; `summed` of its loss, ⟨3 + terms⟩."""


def summed(loss: Tensor, score: Tensor, inputs: int, terms: Sequence[Tensor] = ()) -> Tensor:
    """⟨3 + terms⟩ double: the sum of losses over `inputs` inputs whose mean is `loss`, the sum of scores, how many there were, and
    the sums of the `terms` whose means add up to the loss."""
    apart = (one.detach().double() * inputs for one in terms)
    return torch.stack((loss.detach().double() * inputs, score, score.new_tensor(inputs), *apart))


def step(
    trainee: Trainee,
    optims: Sequence[torch.optim.Optimizer],
    scaler: Any,
    batch: Batch,
    prepare: Callable[[Tensor], Tensor],
    recipe: Recipe,
    moment: Moment,
    ranks: Ranks,
    *,
    looked: bool,
) -> Tensor:
    """Take one step with every turn of the trainee that is due. ⟨3 + terms⟩: the sums of losses and scores of these turns, their
    inputs, and the sums of the losses' terms.

    `prepare` makes bytes what the network reads. Where they are `looked` at and are not finite, the weights stay as they are.
    """
    inputs = len(batch.answers)
    total = torch.zeros(3 + len(trainee.terms), dtype=torch.float64, device=moment.device)
    for turn, optim in zip(trainee.turns, optims, strict=True):
        if not turn.due(moment.step):
            continue
        module = turn.module
        optim.zero_grad(set_to_none=True)
        sums = torch.zeros_like(total)
        for part in _parts(inputs, recipe.accumulate):
            answers = batch.answers[part].to(moment.device, non_blocking=True)
            own = replace(moment, share=len(answers) / inputs)
            with own.cast():
                images = prepare(batch.images[part])
            sums += trainee.gradients(module, images, answers, own)
        total += ranks.total(sums)
        ranks.combine(module, inputs)
        for other in trainee.turns:  # of those that are not trained now statistics may have moved
            if other.module is not module:
                ranks.agree(other.module, inputs)
        if recipe.clip or recipe.adaptive_clip:
            scaler.unscale_(optim)
        if recipe.adaptive_clip:
            clip_adaptively(module, recipe.adaptive_clip)
        if recipe.clip:
            nn.utils.clip_grad_norm_(module.parameters(), recipe.clip)
        if looked and not total[0].isfinite().item():
            break
        scaler.step(optim)
        scaler.update()
    return total


def _parts(inputs: int, parts: int) -> Iterator[slice]:
    """A batch cut as evenly as can be, without empty parts."""
    cuts = [inputs * i // parts for i in range(parts + 1)]
    return (slice(first, last) for first, last in pairwise(cuts) if last > first)
