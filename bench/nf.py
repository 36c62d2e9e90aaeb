"""NF-ResNet-50: a training step against timm's, and inference against the same network of plain convolutions."""

from __future__ import annotations

from collections.abc import Callable

import timm
import torch
from torch import nn

from common import Row, judged, rounds, save, spread
from convsmith.families import spec
from convsmith.latency import ratio
from convsmith.model import build
from convsmith.parts import PlainConv

BATCH, SIDE = 16, 128


def step(model: nn.Module) -> Callable[[], object]:
    model.train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    x = torch.randn(BATCH, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH)

    def run() -> None:
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(x), labels).backward()
        optimiser.step()

    return run


def look(model: nn.Module) -> Callable[[], object]:
    model.eval().to(memory_format=torch.channels_last)
    x = torch.randn(1, 3, 224, 224).contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode():
            model(x)

    return run


def row(what: str, ours: Callable[[], object], theirs: Callable[[], object], name: str, n: int, most: float) -> Row:
    first, second = rounds(ours, theirs, n=n, warm=2)
    found = ratio(first, second)
    return Row(
        what,
        spread(first),
        f"{name}: {spread(second)}",
        found,
        first.n,
        f"at most {most:.3g}",
        judged(found, most=most),
    )


def main() -> None:
    ours = spec("nf_resnet50")
    plain = ours.with_style(conv=PlainConv())
    rows = [
        row("training step", step(build(ours, seed=0)), step(timm.create_model("nf_resnet50")), "timm", 14, 1 / 1.1),
        row("inference", look(build(ours, seed=0)), look(build(plain, seed=0)), "plain convolutions", 40, 1.02),
        row("inference", look(build(ours, seed=0)), look(timm.create_model("nf_resnet50")), "timm", 40, 1.0),
    ]
    note = (
        f"{torch.get_num_threads()} threads (all cores), float32, channels last. Training: SGD with momentum, batch {BATCH}, "
        f"{SIDE} px. Inference: batch 1, 224 px, torch eager. Plain convolutions have no bias and no standardisation."
    )
    save("nf", "NF-ResNet-50", "reference", rows, note)


if __name__ == "__main__":
    main()
