"""A task: what a network is for, as a frozen value.

Its fields are choices that are neither the network's nor the recipe's, such as the weights of classes. It is written into a
run's `config.json`; a run without one is a classification. Cost, scaling, latency, slicing, export and reports never ask it:
they read the spec (input, plan, head) or finished values (`scores.Scores`).
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from torch import Tensor

from ..arch import ArchSpec
from ..data import Targets
from ..errors import UserError
from ..evals import Meter
from ..model import Model
from ..recipe import Recipe
from ..tagged import Tagged
from ..training import Lookout, Loss, Network, Single, Trainee

__all__ = ["Task", "refuse_unread"]

# Fields of a recipe that only some tasks read, with the value at which they do nothing.
NEUTRAL: dict[str, float] = {
    "smoothing": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "first_side": 1.0,
    "critic_steps": 1,
    "critic_rate": 1.0,
    "orthogonal": 0.0,
}


@dataclass(frozen=True)
class Task(Tagged):
    """What a network is for. A task answers four questions: which head, which loss, what a student learns from a teacher,
    and how to tell what a network is worth."""

    headline: ClassVar[str]  # the name of the metric that networks are judged by
    watched: ClassVar[tuple[str, ...]] = ()  # further metrics that each epoch is validated by
    running: ClassVar[str]  # the name of the score that `loss` sums over training inputs
    terms: ClassVar[tuple[str, ...]] = ()  # what its loss is the sum of, where that is told apart
    side: ClassVar[int] = 0  # of the square as large as pictures that are shown whole; 0: the network's own
    activation: ClassVar[str] = "softmax"  # what makes probabilities of a classifier's outputs
    uses: ClassVar[frozenset[str]] = frozenset()  # those of NEUTRAL's fields that it reads
    recipes: ClassVar[tuple[str, str]] = ("quick", "finetune")  # the usual ones: from nothing, and with weights
    study: ClassVar[str] = "resnet-rs"  # the usual recipe of a ladder
    base: ClassVar[str] = "efficientnet_b0"  # what is scaled where nobody says
    space: ClassVar[str] = "t32"  # what is searched where nobody says
    makes: ClassVar[bool] = False  # whether the network makes images, and is judged by holding them against real ones
    few: ClassVar[int] = 0  # validation inputs that are looked at after each epoch, evenly spread; 0: all
    blank: ClassVar[bool] = True  # whether a new answering layer on pretrained ones begins at 0, not as it was drawn

    @abc.abstractmethod
    def fitted(self, spec: ArchSpec, names: Sequence[str]) -> ArchSpec:
        """`spec` with the head for what the data names: its classes, its body parts."""

    @abc.abstractmethod
    def loss(self, network: Network, images: Tensor, answers: Any, recipe: Recipe) -> Loss[Any]:
        """The mean loss of a prepared batch ⟨N,C,H,W⟩ in training, what the network put out, and the sum of its scores."""

    @abc.abstractmethod
    def distilled(self, student: Any, teacher: Any) -> Tensor:
        """The mean loss of a network's outputs towards another's, which are constant."""

    @abc.abstractmethod
    def meter(self, names: Sequence[str], *, pictures: int = 24) -> Meter:
        """What evaluation counts with; `pictures` is how many inputs it may keep to show."""

    def shown(self, images: Tensor, answers: Any, recipe: Recipe, epoch: int) -> tuple[Tensor, Any]:
        """A prepared batch as training shows it in `epoch`, counted from 0, and the answers to that. As it is, by default.

        What it draws comes from torch's global generator, which the loop seeds for every step.
        """
        return images, answers

    def trainee(self, model: Model, recipe: Recipe, seed: int) -> Trainee:
        """Who is trained so that `model` learns it; `seed` is that of weights which are needed beside the model's."""
        return Single(model, self, recipe)

    def lookout(self, trainee: Trainee, seed: int) -> Lookout | None:
        """Who looks whether the training has collapsed; nobody, where it is not known to."""
        return None

    def asked(self, network: Network) -> Network:
        """`network` as evaluation calls it, with prepared images: itself where these are what it reads."""
        return network

    def judged_by(self, network: str) -> Task:
        """The task with the network in a file of weights as what it judges by. Refused where answers alone are judged."""
        raise UserError(f"task '{self.kind}' makes no images that Inception could judge: leave out --inception")

    def headline_of(self, targets: Targets) -> str:
        """The name of the metric that networks are judged by on these."""
        return self.headline

    @classmethod
    def settable(cls) -> dict[str, bool | int | float | str]:
        """The fields that a user sets by name, `--set task.FIELD=VALUE`, with their defaults; others come from the data."""
        return {one.name: one.default for one in fields(cls) if isinstance(one.default, bool | int | float | str)}

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """Pairs of its names, as numbers from 0, to draw a line between; of classes there are none."""
        return ()

    def refuse(self, recipe: Recipe) -> None:
        """Raise `UserError` where it cannot be learnt by the recipe. By default it can by every one."""

    def chance(self, names: Sequence[str]) -> float:
        """The loss of a guess, by which a supernet's training is watched. Refused where a task knows none."""
        raise UserError(f"a search cannot be watched for task '{self.kind}' yet: the loss of a guess is not known")


def refuse_unread(task: Task, recipe: Recipe) -> None:
    """Raise `UserError` where the recipe sets what the task would not read, or what it must not."""
    unread = [name for name, none in NEUTRAL.items() if getattr(recipe, name) != none and name not in task.uses]
    if unread:
        settings = " ".join(f"--set {name}={NEUTRAL[name]:g}" for name in unread)
        raise UserError(f"task '{task.kind}' does not read the recipe's {', '.join(unread)}; give {settings}")
    task.refuse(recipe)
