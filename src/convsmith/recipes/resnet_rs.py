"""resnet-rs: the recipe of "Revisiting ResNets" (Bello et al., 2021).

    convsmith train resnetrs50 DATA --recipe resnet-rs

Where each number comes from; "TF1" and "Model Garden" are the two released trainers.

- 350 epochs, momentum 0.9, a cosine: paper. Nesterov: TF1; Model Garden's file does not switch it on.
- rate 0.1 for 256 images (1.6 at 4096): paper. Warm-up of 5 epochs: Model Garden and TF1. TF1 has no cosine at all, so its
  files alone do not reproduce the paper.
- weight decay 4e-5: paper, both trainers. On everything that is not batch norm, so on biases too: TF1.
- label smoothing 0.1, average 0.9999 with min(0.9999, (1 + t) / (10 + t)) over weights and statistics: TF1.
- dropout, stochastic depth and RandAugment's magnitude by size: the eleven files of TF1, exactly; between them by
  multiply-adds (`BySize`), which rank all eleven as each of the three columns does.
- stochastic depth is equal within a stage, 0.4, 0.6, 0.8 and 1 of the rate: TF1. Per block in many other places.
- crops of 8 to 100 % of the area, aspect 3/4 to 4/3, flip, RandAugment of two layers: TF1.
- batch-norm momentum 0.1: not evidenced: ours. TF1 keeps the last batch's statistics and lets the average smooth them,
  which leaves the raw weights with statistics of one batch; both come to nearly the same in the average.
- batch 256: not evidenced: ours, what fits one device; the paper's is 4096.
"""

from __future__ import annotations

from ..arch import Ramp
from ..recipe import SGD, Augment, BySize, Cosine, RandAugment, Recipe, Size
from .paper import CROPS, RESIZED, SELECTED, WARMED, Paper

__all__ = ["EFFICIENTNET_RS_MAGNITUDE", "PAPER", "RESNET_RS", "TABLE"]

# fmt: off
# multiply-adds (ours)  dropout  stochastic depth  magnitude    layers, side
TABLE: tuple[tuple[float, float, float, float], ...] = (
    (2_278_629_376,     0.25,    0.0,              10),       #  50, 160
    (4_181_532_672,     0.25,    0.0,              10),       # 101, 160
    (6_012_157_952,     0.25,    0.0,              15),       # 101, 192
    (8_746_844_160,     0.25,    0.0,              15),       # 152, 192
    (11_895_185_408,    0.25,    0.0,              15),       # 152, 224
    (15_527_886_848,    0.25,    0.0,              15),       # 152, 256
    (20_093_386_752,    0.25,    0.1,              15),       # 200, 256
    (26_950_189_056,    0.25,    0.1,              15),       # 270, 256
    (34_376_597_504,    0.25,    0.1,              15),       # 350, 256
    (53_683_601_408,    0.4,     0.1,              15),       # 350, 320
    (63_942_344_704,    0.4,     0.1,              15),       # 420, 320
)
# fmt: on

# EfficientNet-RS (section 7.2): 10 up to 224 pixels, 20 above 320, 15 between; exact at whole pixels.
EFFICIENTNET_RS_MAGNITUDE = BySize(Size.RESOLUTION, ((224, 10), (225, 15), (320, 15), (321, 20)))

RESNET_RS = Recipe(
    name="resnet-rs",
    epochs=350,
    batch=256,
    optimiser=SGD(momentum=0.9, nesterov=True),
    rate=0.1,
    decay=4e-5,
    decay_biases=True,
    warmup=5,
    schedule=Cosine(),
    smoothing=0.1,
    clip=0.0,
    average=0.9999,
    dropout=BySize(Size.MACS, tuple((row[0], row[1]) for row in TABLE)),
    drop_path=BySize(Size.MACS, tuple((row[0], row[2]) for row in TABLE)),
    ramp=Ramp.STAGES,
    batch_norm_momentum=0.1,
    augment=Augment(
        crop=(0.08, 1.0),
        mirror=0.5,
        policy=RandAugment(layers=2, magnitude=BySize(Size.MACS, tuple((row[0], row[3]) for row in TABLE))),
    ),
)

PAPER = Paper(
    RESNET_RS,
    source="Bello et al., Revisiting ResNets, NeurIPS 2021 (arXiv:2103.07579), and its released code",
    batch=4096,
    notes=(
        *(CROPS, RESIZED, SELECTED, WARMED),
        "batch norm keeps running statistics (momentum 0.1); the paper's are the last batch's, smoothed by the average alone",
    ),
)
