"""Images of each class, made of noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor

from ..arch import ArchSpec, Latent
from ..errors import UserError
from ..evals import Made, Meter, as_bytes
from ..families.biggan import critic
from ..model import Model, build
from ..ranges import at_least, check_numbers
from ..recipe import Recipe
from ..training import Adversaries, Lookout, Loss, Network, Trainee, collapses, drawn
from .task import Task

__all__ = ["OWN", "Synthesise", "latent_of"]

# The judge that is trained on the data's own images.
OWN = "own"
# Of the latents that an evaluation draws: the same whoever asks.
_SEED = 20_190_127


@final
@dataclass(frozen=True)
class Synthesise(Task):
    """A generator (z, y) -> images, taught by a critic that goes with it (BigGAN, Brock et al., 2019): `training.Adversaries`.

    `judge` is whose features real and made images are compared in: the folder of a run that classifies the same classes; a file of
    Inception v3's weights; `own`, a small classifier that is trained on the spot; `lite0`, EfficientNet-Lite0's, from the extra
    `lite`; and by default this one for images of 32 pixels or more where it is installed, else the small one. `n` images are made
    for an evaluation, at most as many as there are real ones to hold them against.
    """

    kind: ClassVar[str] = "synthesise"
    headline: ClassVar[str] = "kernel_distance"
    running: ClassVar[str] = "fooled"
    watched: ClassVar[tuple[str, ...]] = ("kernel_distance", "frechet_distance", "conditional_accuracy")
    terms: ClassVar[tuple[str, ...]] = Adversaries.terms
    recipes: ClassVar[tuple[str, str]] = ("biggan-small", "biggan-small")
    study: ClassVar[str] = "biggan-small"
    base: ClassVar[str] = "biggan32"
    uses: ClassVar[frozenset[str]] = frozenset({"critic_steps", "critic_rate", "orthogonal"})
    activation: ClassVar[str] = "none"
    makes: ClassVar[bool] = True
    few: ClassVar[int] = 500

    judge: str = ""
    n: int = 5000

    def __post_init__(self) -> None:
        check_numbers(self, "task")
        at_least("task.n", self.n, 2)

    def fitted(self, spec: ArchSpec, names: Sequence[str]) -> ArchSpec:
        latent_of(spec)
        return spec.with_classes(len(names))

    def refuse(self, recipe: Recipe) -> None:
        for name, value in (("frozen", recipe.frozen), ("adaptive_clip", recipe.adaptive_clip > 0)):
            if value:
                raise UserError(f"a generator and its critic are not trained with {name}: leave it out")

    def trainee(self, model: Model, recipe: Recipe, seed: int) -> Trainee:
        return Adversaries(model, build(critic(model.spec), seed=seed + 1), latent_of(model.spec), recipe)

    def lookout(self, trainee: Trainee, seed: int) -> Lookout | None:
        assert isinstance(trainee, Adversaries) and isinstance(trainee.product, Model)
        return collapses(trainee, latent_of(trainee.product.spec), seed=seed)

    def asked(self, network: Network) -> Network:
        """A function of a batch of images that makes as many, of all classes in turn, from latents that are the same every time."""
        assert isinstance(network, Model)
        latent, rng, before = latent_of(network.spec), torch.Generator().manual_seed(_SEED), 0

        def made(images: Tensor) -> Made:
            nonlocal before
            n = len(images)
            z, _ = drawn(latent, n, torch.device("cpu"), rng)
            y = torch.arange(before, before + n) % latent.classes
            before += n
            was = network.training
            out = network.eval()(z.to(images.device), y.to(images.device))
            network.train(was)
            return Made(as_bytes(out.float(), latent.mean, latent.std), y)

        return made

    def judged_by(self, network: str) -> Self:
        return replace(self, judge=network)

    def loss(self, network: Network, images: Tensor, answers: Any, recipe: Recipe) -> Loss[None]:
        raise UserError("a generator learns from a critic, not by itself: give it to training.Adversaries")

    def distilled(self, student: Any, teacher: Any) -> Tensor:
        raise UserError(
            "a generator does not learn from another one, and so there is no search of generators: scale one"
        )

    def chance(self, names: Sequence[str]) -> float:
        raise UserError(
            "there is no search of generators: scale one, as `convsmith design DATA --task synthesise` does"
        )

    def meter(self, names: Sequence[str], *, pictures: int = 24) -> Meter:
        raise UserError(
            "a generator is judged by holding what it makes against its own data, as `convsmith evaluate RUN` does: nothing else "
            "can be asked of it"
        )


def latent_of(spec: ArchSpec) -> Latent:
    """What the generator `spec` reads. Raises `UserError` where it is none."""
    if not isinstance(spec.input, Latent):
        raise UserError(
            f"{spec.name} reads images and makes none; generators are biggan8, biggan32, biggan64 and larger ones"
        )
    return spec.input
