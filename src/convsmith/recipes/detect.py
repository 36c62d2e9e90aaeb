"""detect: a detector on a trunk that has weights; detect-scratch: the same from random weights, longer.

    convsmith train efficientnet_lite0 DATA --weights auto --recipe detect
    convsmith train efficientnet_lite0 DATA --recipe detect-scratch

For ten to some thousand pictures and a batch of 8 on one device. What frameworks train for weeks is in `docs/detection.md`.

- AdamW, 1e-3 for a batch of 8 (rate 0.032 for 256), decay 1e-4, cosine, gradients clipped at 5: not evidenced: ours, as a pilot of
  900 steps on drawn scenes had them. Fine-tuned, the trunk goes at a fifth of that rate.
- warm-up for one epoch: torchvision's references/detection, which warms up over its first epoch, up to 1,000 steps.
- `JitterAugment`: large scale jitter as tensorflow/tpu's detection models have it. Its range is 0.1 to 2 there, from scratch and of
  pictures of 1024 px; 0.5 to 1.5 here: not evidenced: ours.
- mirror 1/2: tensorflow/tpu, torchvision, detectron2. Data whose mirror image means something else is not mirrored.
- norms frozen while fine-tuning: torchvision, detectron2. A norm of the neck or the heads, which has no statistics yet, goes by
  the batch's. From scratch they are trained: tensorflow/tpu, over 64 to 256 pictures; of a batch of 8 group norm or EvoNorm-S0 read
  less noise.
- 12 epochs, from scratch 40: not evidenced: ours. COCO takes 26 epochs of fine-tuning in torchvision, 100 to 600 from scratch.
- no smoothing, no mixing, no dropout, no average: tensorflow/tpu, torchvision, detectron2, which have none.
"""

from __future__ import annotations

from dataclasses import replace

from ..recipe import AdamW, Augment, Cosine, JitterAugment, Norms, Recipe

__all__ = ["DETECT", "DETECT_SCRATCH"]

DETECT = Recipe(
    name="detect",
    epochs=12,
    batch=8,
    optimiser=AdamW(),
    rate=0.032,
    decay=1e-4,
    warmup=1,
    schedule=Cosine(),
    smoothing=0.0,
    clip=5.0,
    average=0.0,
    dropout=0.0,
    drop_path=0.0,
    batch_norm_momentum=0.1,
    augment=Augment(mirror=0.5, policy=JitterAugment(scale=(0.5, 1.5))),
    norms=Norms.FROZEN,
    trunk_rate=0.2,
)

DETECT_SCRATCH = replace(DETECT, name="detect-scratch", epochs=40, norms=Norms.TRAINED, trunk_rate=1.0)
