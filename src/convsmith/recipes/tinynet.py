"""tinynet: how TinyNets were trained (Han et al., 2020).

    convsmith train tinynet_a DATA --recipe tinynet

All from the released scripts, "the config used to train tinynets on ImageNet", unless it says otherwise:

- RMSProp, epsilon 1e-3; rate 0.048 at 8 x 128 images, so 0.012 for 256; warm-up of 3 epochs; 0.97 every 2.4 epochs; 450
  epochs; weight decay 1e-5; average 0.9999; dropout 0.2; batch-norm momentum 0.1.
- decay and momentum 0.9, TensorFlow's form of RMSProp: EfficientNet's; for TinyNet not evidenced.
- the staircase and its count from step 0: not evidenced: as EfficientNet's. The average's warm-up likewise.
- label smoothing 0.1: the module is there, its value is not evidenced: ours.
- stochastic depth 0, but 0.1 for TinyNet-B: `--set drop_path=0.1`.
- crops of 8 to 100 %, aspect 3/4 to 4/3, flip, jitter of brightness, contrast and colour by 0.4.
- "+ RandAugment", which gives A its 77.7 %, has no published layers or magnitude and is left out.
- batch 256: not evidenced: ours; the scripts' is 1024.
"""

from __future__ import annotations

from ..recipe import Augment, ColourJitter, Exponential, Recipe, RMSPropTF
from .paper import RESIZED, Paper

__all__ = ["PAPER", "TINYNET"]

TINYNET = Recipe(
    name="tinynet",
    epochs=450,
    batch=256,
    optimiser=RMSPropTF(decay=0.9, momentum=0.9, eps=1e-3),
    rate=0.012,
    decay=1e-5,
    warmup=3,
    schedule=Exponential(factor=0.97, every=2.4, staircase=True),
    smoothing=0.1,
    clip=0.0,
    average=0.9999,
    dropout=0.2,
    drop_path=0.0,
    batch_norm_momentum=0.1,
    augment=Augment(crop=(0.08, 1.0), mirror=0.5, policy=ColourJitter(brightness=0.4, contrast=0.4, colour=0.4)),
)

PAPER = Paper(
    TINYNET,
    source="Han et al., Model Rubik's cube, NeurIPS 2020, and its released scripts",
    batch=1024,
    notes=(RESIZED,),
)
