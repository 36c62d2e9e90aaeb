"""LambdaNetworks (Bello, 2021): lambda layers where ResNets had their 3x3 convolutions.

The controlled study replaces all of a plain ResNet-50's (`lambda_resnet50_llll`), or those of some stages: c2 to c5 are written
`c` or `l`. The family for the Pareto curve, `lambdaresnet50` to `420`, stands on ResNet-RS: c2 and c3 convolutional, c5 all
lambdas, in c4 a few at even distances, no squeeze-excitation beside a lambda. How many there are in c4 is quoted from the
submission; which blocks they are is recalled, and changes no count.

timm's `lambda_resnet26t` and its kin are other networks (tiered stem, other places, scope 9) and keep their names there.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import ArchSpec
from ..parts import Lambda
from .resnet import resnet
from .resnet_rs import BLOCK, resnet_rs

__all__ = ["HYBRIDS", "STUDY", "all_lambda", "hybrid", "members"]

# fmt: off
# Tables 3, 4 and 12, ResNet-50 at 224 px: name, stages c2 to c5, the layer.
STUDY: tuple[tuple[str, str, Lambda], ...] = (
    ("llll",       "llll", Lambda()),
    ("llll_u4",    "llll", Lambda(intra=4, scope=7)),
    ("llll_k8",    "llll", Lambda(key=8)),
    ("llll_r7",    "llll", Lambda(scope=7)),
    ("lccc",       "lccc", Lambda()),
    ("llcc",       "llcc", Lambda()),
    ("lllc",       "lllc", Lambda()),
    ("clll",       "clll", Lambda()),
    ("ccll",       "ccll", Lambda()),
    ("cccl",       "cccl", Lambda()),
)

# Depth: the side of its largest supervised point, and which blocks of c4 hold a lambda, counted from 1.
HYBRIDS: dict[int, tuple[int, tuple[int, ...]]] = {
    50:  (160, (3,)),
    101: (192, (6, 12, 18)),
    152: (256, (5, 10, 15, 20, 25, 30)),
    200: (256, (5, 10, 15, 20, 25, 30)),
    270: (256, (8, 16, 24, 32, 40, 48)),
    350: (320, (10, 20, 30, 40, 50, 60)),
    420: (320, (10, 20, 30, 40, 50, 60, 70, 80)),
}
# fmt: on


def all_lambda(name: str, pattern: str, layer: Lambda) -> ArchSpec:
    """ResNet-50 with lambda layers in the stages marked `l`."""
    spec = resnet(50)
    for stage, letter in enumerate(pattern):
        if letter == "l":
            spec = spec.with_mixer(stage, layer)
    return replace(spec, name=f"lambda_resnet50_{name}")


def hybrid(depth: int) -> ArchSpec:
    """LambdaResNet of that depth."""
    resolution, places = HYBRIDS[depth]
    spec = resnet_rs(depth)
    # From the back, since a stage of two kinds of block becomes several.
    spec = spec.with_mixer(3, Lambda()).with_mixer(2, Lambda(), blocks=[place - 1 for place in places])
    bare = replace(BLOCK, se=None, mixer=Lambda())
    stages = tuple(stage if stage.block == BLOCK else replace(stage, block=bare) for stage in spec.stages)
    return replace(spec.with_resolution(resolution), name=f"lambdaresnet{depth}", stages=stages)


def members() -> tuple[ArchSpec, ...]:
    return (*(all_lambda(*row) for row in STUDY), *(hybrid(depth) for depth in HYBRIDS))
