"""bignas: how BigNAS trains its supernet (Yu et al., 2020), as far as it is known.

    convsmith train efficientnet_b0 DATA --recipe bignas

The paper's text could not be read; numbers are those that a note and several ports agree on.

- rate 0.256 at 4096, so 0.016 for 256 images; 0.97 every 2.4 epochs, counted after the warm-up and falling continuously,
  never below 5 % of the peak, which it reaches after 236 epochs: a note and two ports (one of them falls in steps).
- warm-up of 5 epochs: one port; another has 3.
- weight decay 1e-5 on weights alone, label smoothing 0.1, dropout 0.2: ports. Weight decay and dropout belong to the
  biggest child only; a single network is its own biggest child.
- RMSProp with decay and momentum 0.9: recalled; epsilon and TensorFlow's form of it: EfficientNet's.
- AutoAugment v0 and crops: recalled; the ports agree.
- 360 epochs: the ports'; the paper's are not known.
- no average, no stochastic depth, batch-norm momentum 0.1 (a supernet's statistics are computed afresh for each child):
  not evidenced: ours. Batch 256 likewise; the paper's is 4096.
"""

from __future__ import annotations

from ..recipe import Augment, AutoAugment, Exponential, Recipe, RMSPropTF
from .paper import CROPS, WARMED, Paper

__all__ = ["BIGNAS", "PAPER"]

BIGNAS = Recipe(
    name="bignas",
    epochs=360,
    batch=256,
    optimiser=RMSPropTF(decay=0.9, momentum=0.9, eps=1e-3),
    rate=0.016,
    decay=1e-5,
    warmup=5,
    schedule=Exponential(factor=0.97, every=2.4, staircase=False, floor=0.05, after_warmup=True),
    smoothing=0.1,
    clip=0.0,
    average=0.0,
    dropout=0.2,
    drop_path=0.0,
    batch_norm_momentum=0.1,
    augment=Augment(crop=(0.08, 1.0), mirror=0.5, policy=AutoAugment()),
)

PAPER = Paper(
    BIGNAS,
    source="Yu et al., BigNAS, ECCV 2020, as a note and ports of it have it",
    batch=4096,
    notes=(CROPS, WARMED),
)
