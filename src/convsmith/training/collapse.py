"""Noticing that two adversaries have collapsed."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..watcher import Looked
from .adversaries import Adversaries, Latents, hinge
from .ranks import Ranks
from .watchdog import Lookout, Watch

__all__ = ["WATCHED", "collapses", "judged", "largest"]

# What a look sees: how far made images of one class differ; the critic's loss, 2 where it tells nothing; the largest singular
# values of the two networks' weights.
WATCHED = ("spread", "critic", "generator_sigma", "critic_sigma")
# A collapse: so small a share of the usual spread, a critic that has all but won, a singular value so many times the usual one.
LEAST_SPREAD, LEAST_LOSS, MOST_SIGMA = 0.25, 0.02, 4.0
# Iterations of the singular values, which a training moves slowly.
_ITERATIONS = 8


def collapses(trainee: Adversaries, latents: Latents, *, seed: int = 0, every: int = 50) -> Lookout:
    """A lookout on the first batch, always from the same z: `WATCHED`, in evaluation mode, over all processes' parts.

    The spread is sqrt(E |a - b|^2 / 2) over pairs of images of one class that are made from different z, as a share of the
    standard deviation of real images: that of a generator which gives each class one image is 0.
    """

    @torch.no_grad()
    def look(images: Tensor, labels: Tensor, ranks: Ranks) -> tuple[float, ...]:
        generator, critic = trainee.product.eval(), trainee.critic.eval()
        sums = torch.zeros(5, dtype=torch.float64, device=images.device)
        if n := len(images):
            rng = torch.Generator().manual_seed(seed + ranks.rank)
            first, second = torch.randn((2, n, latents.dim), generator=rng).to(images.device)
            one, other = generator(first, labels), generator(second, labels)
            real, made = hinge(critic(images, labels).float(), critic(one, labels).float())
            varied = images.double().square().mean() - images.double().mean((0, 2, 3)).square().mean()
            apart = (one - other).double().square().mean() / 2
            sums = torch.stack((apart * n, varied * n, real.double() * n, made.double() * n, apart.new_tensor(n)))
        generator.train()
        critic.train()
        apart, varied, real, made, _ = (ranks.total(sums) / sums[4].clamp_min(1)).tolist()
        return math.sqrt(apart / max(varied, 1e-12)), real + made, largest(generator), largest(critic)

    return Lookout(look, lambda watch, seen, done: judged(watch, seen), _told, every)


def judged(watch: Watch, seen: tuple[float, ...]) -> str:
    """Why what a look has `seen` is a collapse; "" where it is none."""
    for name, value in zip(WATCHED, seen, strict=True):
        if not math.isfinite(value):
            return f"{name.replace('_', ' ')} became {value}"
    spread, critic, *sigmas = seen
    usual_spread, _, *usual_sigmas = watch.usual or seen
    if spread < LEAST_SPREAD * usual_spread:
        return f"what is made hardly varies any more: a spread of {spread:.3g}, usually {usual_spread:.3g}"
    if critic < LEAST_LOSS:
        return f"the critic has won: its loss is {critic:.3g}, and nothing is learnt from it"
    for name, value, usual in zip(WATCHED[2:], sigmas, usual_sigmas, strict=True):
        if value > MOST_SIGMA * usual:
            return f"the weights grow: {name.replace('_', ' ')} is {value:.3g}, usually {usual:.3g}"
    return ""


@torch.no_grad()
def largest(model: nn.Module) -> float:
    """The largest singular value of all weights, each flattened to ⟨c_out,rest⟩, from below: by some iterations from one vector."""
    found = [0.0]
    for weight in model.parameters():
        if weight.ndim < 2:
            continue
        rows = weight.flatten(1).float()
        u = rows.sum(0) + 1e-3
        for _ in range(_ITERATIONS):
            u = rows.T @ (rows @ (u / u.norm()))
        found.append(float((rows @ (u / u.norm())).norm()))
    return max(found) if all(map(math.isfinite, found)) else math.nan


def _told(step: int, seen: tuple[float, ...], share: float) -> Looked:
    return Looked(step, share, dict(zip(WATCHED, seen, strict=True)))
