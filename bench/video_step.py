"""A training step on clips: ours beside torchvision's R3D-18, the same network with the same weights, loss and optimiser.

    python bench/video_step.py [--frames 8] [--side 56] [--batch 4] [--rounds 15] [--threads 1]

Both are the same function (`tests/test_clips.py`). torchvision's is timed contiguous, as its reference trains it, and with
its channels last. Steps are interleaved, and the first of each are not counted. The last row is a network of ours of the same
cost, inflated, for which torchvision has none.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import torch
import torchvision
from torch import Tensor, nn

from common import Row, judged, rounds, save
from convsmith.arch import Clip
from convsmith.costs import cost
from convsmith.families import spec
from convsmith.families.inflated import inflated
from convsmith.latency import Ratio, ratio
from convsmith.layers import channels_last
from convsmith.model import build
from convsmith.scaling import Resolution, solve
from convsmith.units import Budget

CLASSES = 10


def step(model: nn.Module, clips: Tensor, labels: Tensor) -> Callable[[], object]:
    optim = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    model.train()

    def run() -> object:
        optim.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(clips), labels)
        loss.backward()
        optim.step()
        return loss.item()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, usual in (("frames", 8), ("side", 56), ("batch", 4), ("rounds", 15), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    clip = Clip(resolution=asked.side, frames=asked.frames)
    arch = replace(spec("r3d_18", classes=CLASSES), input=clip)
    clips, labels = clip.example(asked.batch, seed=0), torch.arange(asked.batch) % CLASSES

    def theirs(layout: torch.memory_format) -> tuple[nn.Module, Tensor]:
        model = torchvision.models.video.r3d_18(num_classes=CLASSES)
        return model.to(memory_format=layout), clips.to(memory_format=layout)

    ours = step(channels_last(build(arch, seed=0)), channels_last(clips), labels)
    budget = Budget(macs=cost(arch).macs)
    base = inflated(spec("efficientnet_lite0", classes=CLASSES), frames=asked.frames)
    other = solve(Resolution(), base, budget, cost).spec
    layouts = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last_3d}
    rows = []
    for told, layout in layouts.items():
        one, two = rounds(ours, step(*theirs(layout), labels), n=asked.rounds)
        found = ratio(one, two)
        rows.append(
            row(f"R3D-18, theirs {told}", one.median_ms, two.median_ms, found, asked.rounds, judged(found, most=1))
        )
    light = step(channels_last(build(other, seed=0)), other.input.example(asked.batch, seed=0), labels)
    one, two = rounds(light, step(*theirs(torch.contiguous_format), labels), n=asked.rounds)
    name = f"inflated EfficientNet-Lite0 at {other.input.px} px, as many multiply-adds"
    rows.append(row(name, one.median_ms, two.median_ms, ratio(one, two), asked.rounds, ""))
    what = f"{asked.batch} clips of {asked.frames} frames at {asked.side} px, {asked.threads} thread(s)"
    save("video_step", "A training step on clips", f"torchvision {torchvision.__version__}'s r3d_18, {what}", rows)


def row(what: str, ours: float, theirs: float, found: Ratio, n: int, met: str) -> Row:
    return Row(what, f"{ours:.0f} ms", f"{theirs:.0f} ms", found, n, "at most theirs" if met else "none", met)


if __name__ == "__main__":
    main()
