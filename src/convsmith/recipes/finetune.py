"""finetune: transfer to a small data set, by the protocol EfficientNet says it borrows (Kornblith et al., 2019).

    convsmith train efficientnet_b0 DATA --weights FILE --recipe finetune

As an appendix of SimCLR restates it; EfficientNet publishes neither the shape of its schedule nor its choice for each of
the eight data sets.

- the whole network, SGD with Nesterov momentum 0.9, batch 256, 20,000 steps, random resized crop and flip only.
- rate and weight decay chosen on held-out training images from a grid: seven rates from 1e-4 to 1e-1, times weight decay 0
  and seven from 1e-6 to 1e-3, each divided by the rate. `finetune_grid` is that grid; rate 0.01 and decay 1e-6 / 0.01 are
  the point of it that stands here: not evidenced: ours.
- 100 epochs: not evidenced: ours. 20,000 steps of 256 images are 102 epochs of CIFAR-10's 50,000.
- batch-norm momentum 0.1: the protocol's min(10 / s, 0.1) for s steps an epoch wherever s is below 100.
- cosine without warm-up, no smoothing, no average, no dropout, no stochastic depth: not evidenced: ours.
"""

from __future__ import annotations

from dataclasses import replace

from ..recipe import SGD, Augment, Cosine, Recipe
from .paper import CROPS, Paper

__all__ = ["FINETUNE", "PAPER", "finetune_grid"]

FINETUNE = Recipe(
    name="finetune",
    epochs=100,
    batch=256,
    optimiser=SGD(momentum=0.9, nesterov=True),
    rate=0.01,
    decay=1e-4,
    warmup=0,
    schedule=Cosine(),
    smoothing=0.0,
    clip=0.0,
    average=0.0,
    dropout=0.0,
    drop_path=0.0,
    batch_norm_momentum=0.1,
    augment=Augment(crop=(0.08, 1.0), mirror=0.5),
)

PAPER = Paper(
    FINETUNE,
    source="Kornblith et al., Do better ImageNet models transfer better?, CVPR 2019, as restated in SimCLR's appendix",
    batch=256,
    images=50_000,
    notes=(
        CROPS,
        "one point of the grid of rates and decays is run, not all 56 (`finetune_grid`)",
        "the protocol trains for 20,000 steps whatever the data; here epochs are counted",
        "after choosing, the protocol trains again on training and validation images together",
    ),
)


def finetune_grid(base: Recipe = FINETUNE) -> tuple[Recipe, ...]:
    """The protocol's 7 x 8 pairs of rate and weight decay, the slowest rates first.

    >>> len(finetune_grid()), finetune_grid()[1].rate, finetune_grid()[1].decay
    (56, 0.0001, 0.01)
    """
    rates = [float(f"{10 ** (-4 + i / 2):.4g}") for i in range(7)]
    penalties = [0.0, *(float(f"{10 ** (-6 + i / 2):.4g}") for i in range(7))]
    return tuple(
        replace(base, rate=rate, decay=float(f"{penalty / rate:.4g}")) for rate in rates for penalty in penalties
    )
