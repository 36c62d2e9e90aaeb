"""Two networks that play against each other: a generator of images, and a critic that tells them from real ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from ..recipe import Recipe
from .step import Moment, Turn

__all__ = ["Adversaries", "Latents", "drawn", "hinge", "orthogonality"]


class Latents(Protocol):
    """What a generator reads: `dim` numbers and one of `classes`."""

    @property
    def dim(self) -> int: ...
    @property
    def classes(self) -> int: ...


def drawn(
    latents: Latents, n: int, device: torch.device, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """z ~ N(0, I) float32 ⟨n,dim⟩ and classes, each as likely as another, int64 ⟨n⟩, from the `generator` or torch's global one."""
    z = torch.randn((n, latents.dim), generator=generator, device=device)
    return z, torch.randint(latents.classes, (n,), generator=generator, device=device)


def hinge(real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """The critic's two losses of what it says of real images and of made ones, ⟨N⟩ each; it learns from their sum:

        mean relu(1 - real),  mean relu(1 + made)

    The generator's is -mean made. Source: Lim & Ye (2017), as BigGAN's code has it.
    """
    return relu(1 - real).mean(), relu(1 + made).mean()


def orthogonality(model: nn.Module) -> Tensor:
    """How far the rows w_i of the weights, each flattened to ⟨c_out,rest⟩, are from orthogonal, whatever their lengths:

        sum over weights of |W W^T o (1 - I)|_F^2

    Of all parameters with two axes or more, but for embeddings (a shared one is left out in BigGAN's code). Source: Brock et al.
    (2019), whose code adds half of this gradient for the same number: its strength s is a weight of s / 2 here.
    """
    embeddings = {id(one.weight) for one in model.modules() if isinstance(one, nn.Embedding)}
    found = [one for one in model.parameters() if one.ndim > 1 and id(one) not in embeddings]
    terms = []
    for weight in found:
        gram = weight.flatten(1) @ weight.flatten(1).T
        terms.append((gram - gram.diagonal().diag_embed()).square().sum())
    return torch.stack(terms).sum() if terms else torch.zeros(())


class Adversaries:
    """`generator` (z ⟨N,dim⟩, y ⟨N⟩) -> images ⟨N,C,H,W⟩ and `critic` (images, y) -> ⟨N⟩, trained in place by hinge losses.

    In each step the critic learns from a batch of real images and as many made ones, in one pass; in the last of each
    `recipe.critic_steps` steps the generator learns from what the critic says of others. Every turn draws its own z and y, from
    the generator that the loop has seeded for the step. What the critic learns from is made without a gradient and in training
    mode: by the statistics of its batch, which move the running ones, as the estimates of spectral norms are moved. The running
    score is how many made images the critic takes for real. Source: BigGAN's code (Brock et al., 2019).
    """

    terms: tuple[str, ...] = ("real", "made", "generator")

    def __init__(self, generator: nn.Module, critic: nn.Module, latents: Latents, recipe: Recipe) -> None:
        self.product, self.critic = generator, critic
        self._latents, self._recipe = latents, recipe
        for module in generator.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and recipe.batch_norm_momentum:
                module.momentum = recipe.batch_norm_momentum

    @property
    def turns(self) -> tuple[Turn, ...]:
        return (Turn(self.critic, self._recipe.critic_rate), Turn(self.product, every=self._recipe.critic_steps))

    @property
    def identity(self) -> dict[str, str]:
        return {}

    def handed(self, module: nn.Module) -> nn.Module:
        return module

    def gradients(self, turn: nn.Module, images: Tensor, answers: Any, moment: Moment) -> Tensor:
        self.product.train()
        self.critic.train()
        learn = self._of_critic if turn is self.critic else self._of_generator
        return learn(images, answers, moment)

    def _of_critic(self, images: Tensor, labels: Tensor, moment: Moment) -> Tensor:
        z, y = drawn(self._latents, len(images), moment.device)
        with moment.cast():
            with torch.no_grad():
                made = self.product(z, y)
            said = self.critic(torch.cat((made.to(images.dtype), images)), torch.cat((y, labels))).float()
            of_made, of_real = said.chunk(2)
            real, fooled = hinge(of_real, of_made)
        moment.descend(real + fooled + self._penalty(self.critic))
        n, score = len(images), (of_made.detach() > 0).sum().double()
        return _sums(n, n, score, real, fooled, torch.zeros_like(real))

    def _of_generator(self, images: Tensor, labels: Tensor, moment: Moment) -> Tensor:
        z, y = drawn(self._latents, len(images), moment.device)
        with _frozen(self.critic):
            with moment.cast():
                loss = -self.critic(self.product(z, y), y).float().mean()
            moment.descend(loss + self._penalty(self.product))
        # Counted for each step of an epoch, it would be told too small where the generator learns in one of several.
        loss, zero = loss.detach() * self._recipe.critic_steps, torch.zeros_like(loss)
        return _sums(len(images), 0, zero.double(), zero, zero, loss)

    def _penalty(self, module: nn.Module) -> Tensor | float:
        return self._recipe.orthogonal * orthogonality(module) if self._recipe.orthogonal else 0.0


def _sums(n: int, inputs: int, score: Tensor, *terms: Tensor) -> Tensor:
    """What a turn adds to the tally: images are counted in the critic's alone, so that both losses are means over them."""
    apart = torch.stack([one.detach().double() * n for one in terms])
    return torch.cat((torch.stack((apart.sum(), score, score.new_tensor(inputs))), apart))


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Without gradients for its weights; they still flow through it."""
    learnt = [one for one in module.parameters() if one.requires_grad]
    for one in learnt:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in learnt:
            one.requires_grad_(True)
