"""Training images a second of our networks against timm's same networks, in one loop, step by step.

Both have no dropout and no stochastic depth, ten classes, channels-last maps, the same images and the same fused SGD.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import timm
import torch
from torch import nn
from torch.nn import functional as F

import convsmith as cs
from common import Row, inverse, judged, rounds, save, spread

NAMES = ("efficientnet_b0", "resnet18")
#        side batch rounds
SETTINGS = ((32, 32, 60), (224, 8, 14))


def step_of(model: nn.Module, side: int, batch: int) -> Callable[[], object]:
    """One step of training on random images: forward, cross entropy, backward, SGD with momentum."""
    model.train().to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn((batch, 3, side, side), generator=generator).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,), generator=generator)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()
        optimiser.step()

    return step


def ours(name: str) -> nn.Module:
    spec = cs.spec(name).with_classes(10).with_style(drop_path=0.0)
    return cs.build(replace(spec, head=replace(spec.head, dropout=0.0)), seed=0)


def theirs(name: str) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=10, drop_rate=0.0, drop_path_rate=0.0)


def main() -> None:
    rows = []
    for name in NAMES:
        for side, batch, n in SETTINGS:
            mine, other = rounds(step_of(ours(name), side, batch), step_of(theirs(name), side, batch), n=n)
            found = inverse(mine, other)
            rows.append(
                Row(
                    f"{name} at {side} px, batch {batch}",
                    spread(mine, scale=batch, unit="images/s", per_second=True),
                    spread(other, scale=batch, unit="images/s", per_second=True),
                    found,
                    mine.n,
                    "never below 1.0",
                    judged(found, least=1.0),
                )
            )
    note = f"{torch.get_num_threads()} threads (all cores), float32, channels last; n counts rounds of one step each."
    save("training", "Training", "timm", rows, note)


if __name__ == "__main__":
    main()
