"""evonorm: how networks with EvoNorm layers were trained (Liu et al., 2020).

    convsmith train resnetv2_50d_evos DATA --recipe evonorm

The layers took over their baselines' settings unchanged (the paper), which are the defaults of the released ResNet code:

- 90 epochs (112,590 steps of 1024), rate 0.1 for 256 images, weight decay 1e-4, no label smoothing: code.
- gamma, beta and v do not decay: code.
- momentum 0.9, Nesterov, warm-up of 5 epochs, a tenth at 1/3, 2/3 and 8/9 of the run: read in the trainer of the same code
  base (ResNet-RS); for EvoNorm's own runs not evidenced.
- crop and flip, no average, no dropout, no stochastic depth, batch-norm momentum 0.1: not evidenced: ours.
- batch 256: not evidenced: ours; the code's is 1024.
"""

from __future__ import annotations

from ..recipe import SGD, Augment, Recipe, Steps
from .paper import CROPS, RESIZED, WARMED, Paper

__all__ = ["EVONORM", "PAPER"]

EVONORM = Recipe(
    name="evonorm",
    epochs=90,
    batch=256,
    optimiser=SGD(momentum=0.9, nesterov=True),
    rate=0.1,
    decay=1e-4,
    warmup=5,
    schedule=Steps(at=(1 / 3, 2 / 3, 8 / 9), factor=0.1),
    smoothing=0.0,
    clip=0.0,
    average=0.0,
    dropout=0.0,
    drop_path=0.0,
    batch_norm_momentum=0.1,
    augment=Augment(crop=(0.08, 1.0), mirror=0.5),
)

PAPER = Paper(
    EVONORM,
    source="Liu et al., Evolving normalization-activation layers, NeurIPS 2020, and its released code",
    batch=1024,
    notes=(CROPS, RESIZED, WARMED),
)
