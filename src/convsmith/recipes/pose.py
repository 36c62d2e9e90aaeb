"""pose: joints on a network that has weights; pose-scratch: the same from random weights, longer.

    convsmith train efficientnet_lite0 DATA --weights auto --recipe pose
    convsmith train efficientnet_lite0 DATA --recipe pose-scratch

After DeepLabCut 2 ("code": its pose_cfg.yaml, core/train.py and pose_imgaug.py), whose own schedule for EfficientNets names
"Pretraining boosts out-of-domain robustness for pose estimation" (Mathis et al., 2021). What that paper itself did, network by
network, could not be read again.

- Adam: code, for EfficientNets. AdamW without decay is Adam; the code's decay of 1e-4 is never added to its loss.
- a cosine that ends at 2 % of the peak: code. There it takes 30,000 steps, whatever the data: `--set schedule.length=30000`.
- the peak, 1e-3 for a batch of 8, which is rate 0.032 for 256: not evidenced: ours, for runs of a thousand steps. The code's is
  5e-4: `--set rate=0.016`.
- batch 8: the code's for Adam. Its default is SGD with a batch of 1.
- what happens to pictures: `PoseAugment`, which says what of it is the code's. No mirror: code.
- norms frozen while fine-tuning: code, for ResNets and EfficientNets. From scratch they are trained: not evidenced: ours; the
  code leaves ResNets' at mean 0 and variance 1.
- 40 epochs, from scratch 100: not evidenced: ours, for sets of some hundreds of pictures. Scratch needs several times as many
  steps to get as far within the domain; compare curves before you compare ends.
- no warm-up, clipping, average, dropout or stochastic depth: code, which has none.

The code's SGD, for ResNets and MobileNetV2s, over the length of any run:

    --set optimiser.kind=sgd --set optimiser.nesterov=false --set rate=5.12 --set batch=1
    --set schedule.kind=stairs --set 'schedule.rows=[[10000,0.25],[430000,1],[730000,0.1],[1030000,0.05]]'
    --set schedule.of=1030000

Its peak is 0.02 for one picture, 5.12 for 256. It begins at a quarter of that for stability.
"""

from __future__ import annotations

from dataclasses import replace

from ..recipe import AdamW, Augment, Cosine, Norms, PoseAugment, Recipe

__all__ = ["POSE", "POSE_SCRATCH"]

POSE = Recipe(
    name="pose",
    epochs=40,
    batch=8,
    optimiser=AdamW(),
    rate=0.032,
    decay=0.0,
    warmup=0,
    schedule=Cosine(end=0.02),
    smoothing=0.0,
    clip=0.0,
    average=0.0,
    dropout=0.0,
    drop_path=0.0,
    batch_norm_momentum=0.1,
    augment=Augment(policy=PoseAugment()),
    norms=Norms.FROZEN,
)

POSE_SCRATCH = replace(POSE, name="pose-scratch", epochs=100, norms=Norms.TRAINED)
