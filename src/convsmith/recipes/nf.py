"""nf and nf-regnet: the recipes of normaliser-free networks (Brock, De & Smith, 2021).

    convsmith train nf_resnet50 DATA --recipe nf
    convsmith train nf_regnet_b0 DATA --recipe nf-regnet

Where each number comes from; "code" is the authors' released experiment files.

nf, for NF-ResNets:
- 90 epochs, SGD with Nesterov momentum 0.9, rate 0.1 for 256 images (0.4 at 1024), warm-up of 5 epochs, cosine to 0, label
  smoothing 0.1, weight decay 1e-4 on weights alone, never on gains: code. That file is the batch-norm ResNet's default;
  that NF-ResNets used exactly 1e-4 is not said there.
- stochastic depth 0.1, block i of N at 0.1 i / N: the default of the code's networks.
- no dropout, no average, crop and flip: not evidenced: ours.

nf-regnet, for NF-RegNets:
- 360 epochs, rate 0.4 at 1024 (the code does not scale it; 0.1 for 256 here), warm-up of 5 epochs, cosine to 0.001 (1/400
  of the peak), SGD Nesterov 0.9, label smoothing 0.1, average 0.99999 eased in, stochastic depth 0.1: code.
- weight decay and dropout by size, B0 to B5: code's table. Between the sizes by multiply-adds of this package's members.
- mixup with alpha 0.2 on half of the batch and CutMix on the other: code. CutMix's alpha of 1: not evidenced: ours.
- crop and flip: not evidenced: ours.

No clipping: adaptive gradient clipping belongs to the follow-up. Batch 256: not evidenced: ours; the code's is 1024.
"""

from __future__ import annotations

from ..recipe import SGD, Augment, BySize, Cosine, Recipe, Size
from .paper import CROPS, SELECTED, WARMED, Paper

__all__ = ["NF", "NF_REGNET", "PAPERS", "REGNET_TABLE"]

NF = Recipe(
    name="nf",
    epochs=90,
    batch=256,
    optimiser=SGD(momentum=0.9, nesterov=True),
    rate=0.1,
    decay=1e-4,
    warmup=5,
    schedule=Cosine(),
    smoothing=0.1,
    clip=0.0,
    average=0.0,
    dropout=0.0,
    drop_path=0.1,
    batch_norm_momentum=0.1,
    augment=Augment(crop=(0.08, 1.0), mirror=0.5),
)

# fmt: off
# multiply-adds at the training side  decay   dropout    member, side
REGNET_TABLE: tuple[tuple[float, float, float], ...] = (
    (351_345_536,                     5e-5,   0.2),    # B0, 192
    (606_613_120,                     6e-5,   0.2),    # B1, 224
    (933_524_352,                     7e-5,   0.3),    # B2, 240
    (1_623_749_376,                   8e-5,   0.3),    # B3, 288
    (3_219_430_016,                   9e-5,   0.4),    # B4, 320
    (7_830_020_224,                   1e-4,   0.4),    # B5, 384
)
# fmt: on

NF_REGNET = Recipe(
    name="nf-regnet",
    epochs=360,
    batch=256,
    optimiser=SGD(momentum=0.9, nesterov=True),
    rate=0.1,
    decay=BySize(Size.MACS, tuple((row[0], row[1]) for row in REGNET_TABLE)),
    warmup=5,
    schedule=Cosine(end=0.0025),
    smoothing=0.1,
    clip=0.0,
    average=0.99999,
    dropout=BySize(Size.MACS, tuple((row[0], row[2]) for row in REGNET_TABLE)),
    drop_path=0.1,
    batch_norm_momentum=0.1,
    augment=Augment(crop=(0.08, 1.0), mirror=0.5),
    mixup=0.2,
    cutmix=1.0,
)

_SOURCE = "Brock, De & Smith, Characterizing signal propagation, ICLR 2021, and its released code"
_NOTES = (
    *(CROPS, WARMED, SELECTED),
    "a branch that survives stochastic depth is divided by its chance to; the paper's code does not divide",
)
PAPERS = (
    Paper(NF, source=_SOURCE, batch=1024, notes=_NOTES),
    Paper(
        NF_REGNET,
        source=_SOURCE,
        batch=1024,
        notes=(*_NOTES, "arithmetic is the machine's choice, the paper's float32"),
    ),
)
