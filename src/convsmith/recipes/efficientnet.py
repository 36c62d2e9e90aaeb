"""efficientnet: EfficientNet's own recipe (Tan & Le, 2019).

    convsmith train efficientnet_b0 DATA --recipe efficientnet

Where each number comes from; "code" is the released TensorFlow code, "paper" version 5 of the paper.

- RMSProp, decay 0.9, momentum 0.9: paper. Epsilon 1e-3 inside the root, mean square from 1: code.
- rate 0.016 for 256 images: the paper's 0.256 at 4096, the code's 0.128 at 2048.
- 0.97 every 2.4 epochs: paper. As a staircase counted from step 0, under a linear warm-up of 5 epochs: code. So the rate
  steps from its peak to 0.97^2 of it where the warm-up ends, and ends at 0.97^145 = 0.0121.
- 350 epochs: code (218,949 steps of 2048); the paper names no number.
- weight decay 1e-5, coupled, on everything that is not batch norm, so on biases too: code.
- label smoothing 0.1: code. Average 0.9999 with min(0.9999, (1 + t) / (10 + t)), statistics included: code.
- batch-norm momentum 0.01 (0.99 in TensorFlow's sense): paper, code.
- dropout by size, 0.2 (B0) to 0.5 (B7): paper; the staircase of the table: code. The paper's text says linear.
- stochastic depth 0.2 for all, block b of N at 0.2 b / N: paper v5, code; the first version of the paper said 0.3.
- crops of 8 to 100 % of the area, aspect 3/4 to 4/3, flip: code. AutoAugment: paper; its policy "v0": code.
- batch 256: not evidenced: ours, what fits one device. The code's default is 2048; 4096 is MnasNet's, which it follows.
"""

from __future__ import annotations

from ..recipe import Augment, AutoAugment, BySize, Exponential, Recipe, RMSPropTF, Size
from .paper import CROPS, RESIZED, SELECTED, WARMED, Paper

__all__ = ["DROPOUT", "EFFICIENTNET", "PAPER"]

# fmt: off
DROPOUT = BySize(Size.MACS, (
    (385_814_752,    0.2),  # B0
    (686_802_832,    0.2),  # B1
    (993_561_872,    0.3),  # B2
    (1_827_141_392,  0.3),  # B3
    (4_393_771_024,  0.4),  # B4
    (10_266_384_752, 0.4),  # B5
    (19_067_593_536, 0.5),  # B6
    (37_745_884_192, 0.5),  # B7
))
# fmt: on

EFFICIENTNET = Recipe(
    name="efficientnet",
    epochs=350,
    batch=256,
    optimiser=RMSPropTF(decay=0.9, momentum=0.9, eps=1e-3),
    rate=0.016,
    decay=1e-5,
    decay_biases=True,
    warmup=5,
    schedule=Exponential(factor=0.97, every=2.4, staircase=True),
    smoothing=0.1,
    clip=0.0,
    average=0.9999,
    dropout=DROPOUT,
    drop_path=0.2,
    batch_norm_momentum=0.01,
    augment=Augment(crop=(0.08, 1.0), mirror=0.5, policy=AutoAugment()),
)

PAPER = Paper(
    EFFICIENTNET,
    source="Tan & Le, EfficientNet, ICML 2019 (arXiv:1905.11946v5), and its released code",
    batch=4096,
    notes=(CROPS, RESIZED, SELECTED, WARMED),
)
