"""What a sandwich costs: a step's time and memory against its children trained alone, and how fast children are looked at.

T32, batch 64, one thread. The children of a step are its own (the biggest, two drawn, the smallest); alone, each is an ordinary
network of its own at its resolution, stepped one after the other. Peaks are of a process that does nothing else.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from common import Row, answer, judged, rounds, save, spread
from convsmith.latency import ratio
from convsmith.model import Model, build
from convsmith.recipes import recipe
from convsmith.supernet import T32, Counting, Genes, Supernet, drawn, moved, sandwich
from convsmith.supernet.shared import resized
from convsmith.tasks import Classify
from convsmith.training import Moment

BATCH, STEP = 64, 3


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 3, 32, 32, generator=generator).to(memory_format=torch.channels_last)
    return images, torch.randint(0, 10, (BATCH,), generator=generator)


def together(autocast: torch.dtype | None = None) -> Callable[[], object]:
    supernet, (images, labels) = Supernet(T32, seed=0), batch()
    children = drawn(T32, seed=0, step=STEP, randoms=2)

    def step() -> None:
        supernet.model.zero_grad(set_to_none=True)
        moment = Moment(0, 1, 0, images.device, autocast=autocast)
        sandwich(supernet, Classify(), images, labels, children, recipe("quick"), moment)

    return step


def alone(*, only_biggest: bool = False) -> Callable[[], object]:
    images, labels = batch()
    children = () if only_biggest else drawn(T32, seed=0, step=STEP, randoms=2)
    models: list[Model] = [
        build(spec, seed=0).to(memory_format=torch.channels_last).train() for spec in (T32.biggest(), *children)
    ]

    def step() -> None:
        for model in models:
            model.zero_grad(set_to_none=True)
            logits = model(resized(images, model.spec.input.resolution))
            F.cross_entropy(logits, labels, label_smoothing=0.1).backward()

    return step


def compiled() -> Callable[[], object]:
    """The biggest child, compiled: what a step of static networks could gain."""
    images, labels = batch()
    model = build(T32.biggest(), seed=0).to(memory_format=torch.channels_last).train()
    fast = torch.compile(model)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(fast(images), labels, label_smoothing=0.1).backward()

    return step


def peak(which: str) -> float:
    """MiB that a step peaks at above what the process held before, in a process of its own."""
    found = subprocess.run([sys.executable, __file__, "--peak", which], capture_output=True, text=True, check=True)
    return float(found.stdout)


def _peak(which: str) -> None:
    step = together() if which == "sandwich" else alone(only_biggest=True)
    with torch.no_grad():
        torch.nn.functional.silu(torch.zeros(8))
    before = _held()
    for _ in range(3):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before)


def _held() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def costed() -> float:
    """Children costed a second while mutations go on, parts seen before."""
    counting, rng = Counting(T32), random.Random(0)
    genes: Genes = T32.genes(T32.biggest())
    for _ in range(20_000):
        counting(tuple(rng.choice(axis.values) for axis in T32.axes))
    wanted = []
    for _ in range(20_000):
        genes = moved(T32, genes, rng)
        wanted.append(genes)
    began = time.perf_counter()
    for one in wanted:
        counting(one)
    return len(wanted) / (time.perf_counter() - began)


def main() -> None:
    torch.set_num_threads(1)
    if "--peak" in sys.argv:
        _peak(sys.argv[-1])
        return
    first, second = rounds(together(), alone(), n=30, warm=3)
    found = ratio(first, second)
    rows = [Row("step of four children", spread(first), f"the same alone: {spread(second)}", found, 30, "<= 1.1",
                judged(found, most=1.1))]  # fmt: skip
    low, full = rounds(together(torch.bfloat16), together(), n=10, warm=2)
    rows.append(Row("step in bfloat16", spread(low), f"float32: {spread(full)}", ratio(low, full), 10, ""))
    began = time.perf_counter()
    fast = compiled()
    fast()
    took = time.perf_counter() - began
    quick, plain = rounds(fast, alone(only_biggest=True), n=20, warm=2)
    rows.append(
        Row(
            f"biggest child compiled (in {took:.0f} s)",
            spread(quick),
            f"eager: {spread(plain)}",
            ratio(quick, plain),
            20,
            "",
        )
    )
    peaks = peak("sandwich"), peak("biggest")
    share = peaks[0] / peaks[1]
    rows.append(Row("peak of a step", f"{peaks[0]:.0f} MiB", f"the biggest alone: {peaks[1]:.0f} MiB; {share:.2f} of it", None, 1,
                    "<= 1.3", answer(share <= 1.3)))  # fmt: skip
    speed = costed()
    rows.append(Row("children costed a second", f"{speed:,.0f}", "", None, 1, ">= 10,000", answer(speed >= 10_000)))
    save("sandwich", "The cost of a sandwich", "reference", rows, note=(
        f"T32, batch {BATCH}, one thread, float32 unless said otherwise, channels last; gradients only, no optimiser."
    ))  # fmt: skip


if __name__ == "__main__":
    main()
