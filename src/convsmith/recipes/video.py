"""r3d-rs: the recipe of 3-D ResNet-RS; clips: minutes on a CPU.

    convsmith train r3d_rs50 DATA --recipe r3d-rs
    convsmith train inflated:resnet18 moving-digits --recipe clips

3-D ResNet-RS is of section 7.5 of "Revisiting ResNets" (Bello et al., 2021). Its released trainer (Model Garden, "code") has most
numbers; the paper has a table of what each one brings and few of them.

- a cosine from 0.8 for 1024 clips, which is rate 0.2 for 256; a warm-up of 1050 steps, 5 epochs: code.
- 73,682 steps, 350 epochs of 215,570 clips: code. Its page says 200 epochs.
- weight decay 4e-5, label smoothing 0.1, dropout 0.5, stochastic depth 0.1, equal within a stage: code.
- average 0.9999, over statistics, too: code.
- crops of 8 to 100 % of the area, aspect 1/2 to 2, the same for all frames: code. This scale jittering stands in the place of
  RandAugment: paper.
- 32 frames, every second one, of 224 pixels: code; they are the network's own (`Clip`), not the recipe's. Evaluation averages 10
  clips in 3 crops each, at 256 pixels: code. `evaluate RUN --views 10x3` does.
- momentum 0.9 without Nesterov; no decay of biases; mirrored half of the time: not evidenced: ours. The first two are what Model
  Garden has for images.
- batch-norm momentum 0.1: not evidenced: ours, as in resnet-rs. The code keeps the last batch's statistics, which its average
  smooths.
- batch 64: not evidenced: ours, what fits one device.

clips is `quick` in batches of 16 and for half as long: a step of a clip is that of as many images as it has frames. Source: none.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import Ramp
from ..recipe import SGD, Augment, Cosine, Recipe
from .paper import CROPS, RESIZED, SELECTED, WARMED, Paper
from .quick import QUICK

__all__ = ["CLIPS", "PAPER", "R3D_RS"]

R3D_RS = Recipe(
    name="r3d-rs",
    epochs=350,
    batch=64,
    optimiser=SGD(momentum=0.9, nesterov=False),
    rate=0.2,
    decay=4e-5,
    warmup=5,
    schedule=Cosine(),
    smoothing=0.1,
    clip=0.0,
    average=0.9999,
    dropout=0.5,
    drop_path=0.1,
    ramp=Ramp.STAGES,
    batch_norm_momentum=0.1,
    augment=Augment(crop=(0.08, 1.0), ratio=(0.5, 2.0), mirror=0.5),
)

PAPER = Paper(
    R3D_RS,
    source="Bello et al., Revisiting ResNets, NeurIPS 2021 (arXiv:2103.07579), and its released code",
    batch=1024,
    images=215_570,
    notes=(
        *(CROPS, RESIZED, SELECTED, WARMED),
        "batch norm keeps running statistics (momentum 0.1); the paper's are the last batch's, smoothed by the average alone",
        "validation looks at the middle clip of each film, the paper at 10 clips in 3 crops of 256 px: `evaluate --views 10x3`",
    ),
)

CLIPS = replace(QUICK, name="clips", epochs=15, batch=16)
