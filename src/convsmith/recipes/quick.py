"""quick: minutes on a CPU, small images, small networks.

    convsmith train MODEL DATA --recipe quick

Source: none; our own choice for runs of a few thousand steps. It follows no paper, and differs from EfficientNet's recipe
in nearly everything: SGD instead of RMSProp, a cosine instead of steps, no AutoAugment, no dropout and no stochastic depth
(which need long runs to pay), and a batch-norm momentum of 0.1 because 0.01 would lag behind for the whole run.
"""

from __future__ import annotations

from ..recipe import SGD, Augment, Precision, Recipe

__all__ = ["QUICK"]

QUICK = Recipe(
    name="quick",
    epochs=30,
    batch=64,
    optimiser=SGD(momentum=0.9, nesterov=True),
    rate=0.4,
    decay=5e-4,
    warmup=1,
    smoothing=0.1,
    clip=1.0,
    average=0.9999,
    dropout=0.0,
    drop_path=0.0,
    batch_norm_momentum=0.1,
    augment=Augment(crop=(0.6, 1.0), mirror=0.5),
    precision=Precision.AUTO,
)
