"""A small space, supernets of it with nothing at rest, and images: what the tests of supernets share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from convsmith.arch import Act, ArchSpec, Image, Stage, Style
from convsmith.graphs import read
from convsmith.layers import EvoNormKind, LinearInit
from convsmith.parts import (
    SE,
    BasicBlock,
    BatchNorm,
    Bottleneck,
    ConvStem,
    EvoNorm,
    GraphNorm,
    GroupNorm,
    MBConv,
    NFBottleneck,
    NFRegNetBlock,
    NoNorm,
    PlainConv,
    PooledClassifier,
    PreActBottleneck,
    ScaledWS,
)
from convsmith.recipe import SGD, Recipe
from convsmith.recipes import QUICK
from convsmith.supernet import T32, Axes, Sandwich, Space, Supernet, ends, sandwich
from convsmith.supernet.drawing import Draw
from convsmith.supernet.sandwich import Gradients
from convsmith.tasks import Classify
from convsmith.training import Ranks, fit
from convsmith.training.ranks import ALONE
from convsmith.watcher import Record

CPU = torch.device("cpu")
CLASSIFY = Classify()
TINY = Space(
    base=ArchSpec(
        name="tiny",
        input=Image(resolution=12),
        style=Style(norm=BatchNorm(act=Act.SILU), conv=PlainConv(), zero_last=True),
        stem=ConvStem(width=8, stride=1),
        stages=(
            Stage(MBConv(kernel=5, expand=2, se=SE(), skips=True), 2, 12, 2),
            Stage(MBConv(kernel=3, expand=2, se=None, skips=True), 1, 16, 1),
        ),
        head=PooledClassifier(classes=3, width=24, dropout=0.1, init=LinearInit.NORMAL),
    ),
    resolution=(8, 12),
    stem=(4, 8),
    stages=(Axes((8, 12), (1, 2), (3, 5), (1.5, 2)), Axes((12, 16))),
    head=(16, 24),
)


# T32 with fewer values, whose costs are learnt in a moment.
FEW = Space(
    T32.base,
    stages=(Axes(), Axes((16, 24), (1, 2, 3)), Axes((32, 40), (1, 2, 3)), Axes((56, 72), (1, 2, 3))),
    resolution=(20, 28, 32),
)


def stirred(space: Space, seed: int = 0) -> Supernet:
    """A supernet with nothing left at 0, so that every weight shows."""
    supernet = Supernet(space, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in supernet.model.parameters():
            if parameter.ndim < 2 or not parameter.any():
                parameter.add_(0.5 + 0.1 * torch.randn(parameter.shape, generator=generator))
    return supernet


def noise(n: int, side: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, side, side, generator=generator).to(memory_format=torch.channels_last)


def undropped(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return model


def family(block, *, norm=None, conv=None, stem=None, head=None, widths=(48, 64)) -> ArchSpec:  # type: ignore[no-untyped-def]
    return ArchSpec(
        name="family",
        input=Image(resolution=16),
        style=Style(norm=norm or BatchNorm(), conv=conv or PlainConv()),
        stem=stem or ConvStem(width=32),
        stages=(Stage(block, 2, widths[0], 1), Stage(block, 2, widths[1], 2)),
        head=head or PooledClassifier(classes=4),
    )


# A moment of the batch inside another, one of the channel's layer, and the batch's of both.
NESTED = read("max((x - mean_batch(x)) / std_batch(max(mean_batch(v1 * x), x)), v0 * rms_layer(x))")
NF = {"norm": NoNorm(gain=True), "conv": ScaledWS()}
SOUND = {
    "resnet": family(BasicBlock()),
    "bottleneck": family(Bottleneck(se=SE())),
    "mobilenet": family(MBConv(expand=3), head=PooledClassifier(classes=4, width=64)),
    "nf": family(NFBottleneck(), stem=ConvStem(width=32, bare=True), **NF),
    "nf_regnet": family(NFRegNetBlock(se=SE(gain=2.0)), stem=ConvStem(width=32, bare=True), **NF),
    "evonorm_b0": family(PreActBottleneck(), norm=EvoNorm(variant=EvoNormKind.B0), stem=ConvStem(width=32, bare=True)),
    "graph": family(PreActBottleneck(), norm=GraphNorm(NESTED), stem=ConvStem(width=32, bare=True)),
    "groups_of_one": family(BasicBlock(), norm=GroupNorm(groups=1)),
}

PLAIN = replace(QUICK, epochs=4, batch=8, rate=0.5, warmup=1, average=0.0, decay=0.0, smoothing=0.1, optimiser=SGD())


@dataclass(frozen=True)
class Batch:
    images: Tensor
    answers: Tensor


@dataclass(frozen=True)
class Feed:
    """Images of three classes that a brightness tells apart; a batch depends on its step alone."""

    steps_per_epoch: int = 6

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        for step in range(first, last):
            generator = torch.Generator().manual_seed(step)
            labels = torch.randint(0, 3, (16,), generator=generator)
            images = torch.randint(0, 80, (16, 3, 12, 12), generator=generator) + 80 * labels[:, None, None, None]
            yield Batch(images.to(torch.uint8), labels)


def train_supernet(
    supernet: Supernet,
    recipe: Recipe,
    feed: Feed,
    *,
    evaluate: Callable[[Supernet], dict[str, float]],
    checkpoint: Path,
    device: torch.device = CPU,
    seed: int = 7,
    watch_every: int = 50,
    labels_first: float = 0.0,
    draw: Draw | None = None,
    gradients: Gradients = sandwich,
    ranks: Ranks = ALONE,
    stop: Callable[[], bool] = lambda: False,
    prepare: Callable[[Tensor], Tensor] = lambda images: images.float() / 128 - 1,
) -> Iterator[Record]:
    """Sandwiches under a lookout for a collapse, as a search trains."""
    return fit(
        Sandwich(supernet, CLASSIFY, recipe, seed=seed, labels_first=labels_first, draw=draw, gradients=gradients),
        recipe,
        feed,
        prepare=prepare,
        evaluate=evaluate,
        checkpoint=checkpoint,
        device=device,
        seed=seed,
        lookout=ends(supernet, CLASSIFY, recipe, chance=math.log(3), every=watch_every),
        ranks=ranks,
        stop=stop,
    )
