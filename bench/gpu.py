"""On a CUDA device: training steps, layers and the sandwich against their references.

    python bench/gpu.py [--only networks,layers,...]

Bfloat16 by autocast, as the library trains there, and channels last, unless a row says otherwise. Lambda layers on maps of
32 x 256 x 32 x 32, EvoNorm of 64 x 64 x 56 x 56, forward and backward. Sandwiches are T32's, gradients only. A call ends when
the device has done its work. The goals are those of a CPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace

import timm
import torch
from timm.layers import evo_norm
from timm.layers.lambda_layer import LambdaLayer as TimmLambda
from torch import nn
from torch.nn import functional as F

import convsmith as cs
from common import RESULTS, Row, answer, inverse, judged, rounds, save, spread
from convsmith.latency import Ratio, ratio
from convsmith.layers import EvoNormKind, LambdaLayer
from convsmith.layers.evonorm import evonorm
from convsmith.recipes import recipe
from convsmith.supernet import T32, Supernet, drawn, sandwich
from convsmith.supernet.shared import resized
from convsmith.tasks import Classify
from convsmith.training import Moment
from lambda_layer import Attention

WHERE = torch.device("cuda")
NETWORKS = (("efficientnet_b0", 128), ("resnet50", 64), ("nf_resnet50", 64))
#              batch channels side
LAMBDA_MAPS = (32, 256, 32)
EVONORM_MAPS = (64, 64, 56)
N = 20


def synced(run: Callable[[], object]) -> Callable[[], object]:
    def done() -> None:
        run()
        torch.cuda.synchronize()

    return done


def low() -> torch.autocast:
    return torch.autocast("cuda", dtype=torch.bfloat16)


# ---- networks --------------------------------------------------------------------------------------------------------


def step_of(model: nn.Module, batch: int) -> Callable[[], object]:
    """One step of training on random images of 224 px: forward, cross entropy, backward, SGD with momentum."""
    model = model.to(WHERE, memory_format=torch.channels_last).train()
    images = torch.randn((batch, 3, 224, 224), device=WHERE).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,), device=WHERE)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with low():
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimiser.step()

    return synced(step)


def ours(name: str) -> nn.Module:
    spec = cs.spec(name).with_classes(10).with_style(drop_path=0.0)
    return cs.build(replace(spec, head=replace(spec.head, dropout=0.0)), seed=0)


def networks() -> list[Row]:
    rows = []
    for name, batch in NETWORKS:
        theirs = timm.create_model(name, num_classes=10, drop_rate=0.0, drop_path_rate=0.0)
        mine, other = rounds(step_of(ours(name), batch), step_of(theirs, batch), n=N)
        found = inverse(mine, other)
        rows.append(
            Row(
                f"train {name} at 224 px, batch {batch}",
                spread(mine, scale=batch, unit="images/s", per_second=True),
                "timm: " + spread(other, scale=batch, unit="images/s", per_second=True),
                found,
                N,
                "never below 1.0",
                judged(found, least=1.0),
            )
        )
    return rows


# ---- layers ----------------------------------------------------------------------------------------------------------


def pass_of(layer: nn.Module, shape: tuple[int, ...]) -> Callable[[], object]:
    """Forward and backward in training, to the layer's parameters and its input."""
    layer = layer.to(WHERE).train()
    x, grad = (torch.randn(shape, device=WHERE).to(memory_format=torch.channels_last) for _ in range(2))
    x.requires_grad_()

    def run() -> None:
        x.grad = None
        layer.zero_grad(set_to_none=True)
        with low():
            out = layer(x)
        out.backward(grad.to(out.dtype))

    return synced(run)


def against(what: str, mine: nn.Module, name: str, theirs: nn.Module, shape: tuple[int, ...], most: float) -> Row:
    first, second = rounds(pass_of(mine, shape), pass_of(theirs, shape), n=N)
    found = ratio(first, second)
    return Row(
        what, spread(first), f"{name}: {spread(second)}", found, N, f"at most {most:.2g}", judged(found, most=most)
    )


def layers() -> list[Row]:
    batch, width, side = LAMBDA_MAPS
    shape = (batch, width, side, side)
    rows = [
        against("lambda layer, scope 9", LambdaLayer(width, scope=9), "timm", TimmLambda(width, r=9), shape, 1 / 3),
        against("lambda layer, scope 23", LambdaLayer(width, scope=23), "attention", Attention(width), shape, 1.0),
    ]
    batch, channels, side = EVONORM_MAPS
    shape = (batch, channels, side, side)
    for kind, theirs in ((EvoNormKind.S0, evo_norm.EvoNorm2dS0), (EvoNormKind.B0, evo_norm.EvoNorm2dB0)):
        plain = nn.Sequential(nn.BatchNorm2d(channels), nn.SiLU())
        name = f"EvoNorm-{kind.upper()}"
        rows.append(against(name, evonorm(kind, channels), "BN + SiLU", plain, shape, 2.0))
        rows.append(against(name, evonorm(kind, channels), "timm", theirs(channels), shape, 0.5))
    return rows


# ---- the sandwich ----------------------------------------------------------------------------------------------------


def batch_of(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn((count, 3, 32, 32), device=WHERE).to(memory_format=torch.channels_last)
    return images, torch.randint(0, 10, (count,), device=WHERE)


def together(count: int, autocast: torch.dtype | None) -> Callable[[], object]:
    supernet, (images, labels) = Supernet(T32, seed=0, device=WHERE), batch_of(count)
    children = drawn(T32, seed=0, step=3, randoms=2)

    def step() -> None:
        supernet.model.zero_grad(set_to_none=True)
        moment = Moment(0, 1, 0, images.device, autocast=autocast)
        sandwich(supernet, Classify(), images, labels, children, recipe("quick"), moment)

    return synced(step)


def alone(count: int, autocast: torch.dtype | None, *, biggest: bool = False) -> Callable[[], object]:
    images, labels = batch_of(count)
    specs = (T32.biggest(), *(() if biggest else drawn(T32, seed=0, step=3, randoms=2)))
    models = [cs.build(spec, seed=0).to(WHERE, memory_format=torch.channels_last).train() for spec in specs]

    def step() -> None:
        for model in models:
            model.zero_grad(set_to_none=True)
            with torch.autocast("cuda", dtype=autocast, enabled=autocast is not None):
                logits = model(resized(images, model.spec.input.resolution))
                loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.1)
            loss.backward()

    return synced(step)


def peak(run: Callable[[], object]) -> float:
    """MiB that a step takes at its peak, above what lies there before."""
    run()
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def sandwiches() -> list[Row]:
    rows, bf16 = [], torch.bfloat16
    for count in (64, 256):
        for name, kind in (("float32", None), ("bfloat16", bf16)):
            first, second = rounds(together(count, kind), alone(count, kind), n=N)
            found = ratio(first, second)
            what, reference = f"sandwich of four, batch {count}, {name}", f"the same alone: {spread(second)}"
            rows.append(Row(what, spread(first), reference, found, N, "at most 1.1", judged(found, most=1.1)))
    mine, biggest = peak(together(1024, None)), peak(alone(1024, None, biggest=True))
    reference, share = f"the biggest alone: {biggest:.0f} MiB", mine / biggest
    what = f"peak of a sandwich, batch 1024, float32: {share:.2f} of the biggest's"
    rows.append(Row(what, f"{mine:.0f} MiB", reference, None, 1, "at most 1.3", answer(share <= 1.3)))
    return rows


PARTS = {"networks": networks, "layers": layers, "sandwiches": sandwiches}


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("no CUDA device here")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS))
    path = RESULTS / "gpu.json"
    raw = json.loads(path.read_text(encoding="utf-8"))["raw"] if path.exists() else {}  # other parts' rows are kept
    note = " ".join(__doc__.split("\n\n", 2)[2].split())
    for name in parser.parse_args().only.split(","):
        raw[name] = [asdict(row) for row in PARTS[name]()]
        found = [one for part in PARTS for one in raw.get(part, [])]
        rows = [Row(**one | {"ratio": one["ratio"] and Ratio(**one["ratio"])}) for one in found]
        save("gpu", f"On an {torch.cuda.get_device_name(0)}", "reference", rows, note, raw=raw)


if __name__ == "__main__":
    main()
