"""Normaliser surgery: the signal of converted networks beside plain removal, and how closely folding keeps the function.

ResNet-50 and EfficientNet-B0, ours and timm's, of random weights at 224 px: the smallest and the largest variance over all
residual blocks once their batch norms are gone, of noise that the scales were not set on. For --keep-function the norms
have scales, shifts and statistics of their own, from passes in training mode.
"""

from __future__ import annotations

import copy
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

import convsmith as cs
from common import Row, answer, save
from convsmith.exporting.fold import after, foldable
from convsmith.jobs.convert import Conversion, convert
from convsmith.resolve import foreign
from convsmith.signal import Trace, trace
from convsmith.surgery import operate

SHAPE = (3, 224, 224)
CONVERSIONS = 3
SPECS = ("resnetv2_50", "resnetv2_101")  # those whose blocks have a normaliser-free form


def foreigner(name: str) -> nn.Module:
    torch.manual_seed(0)
    return foreign(name)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "resnet50": lambda: cs.build(cs.spec("resnet50"), seed=0),
    "efficientnet_b0": lambda: cs.build(cs.spec("efficientnet_b0"), seed=0),
    "timm:resnet50": lambda: foreigner("timm:resnet50"),
    "timm:efficientnet_b0": lambda: foreigner("timm:efficientnet_b0"),
}


def noise(seed: int, images: int = 4) -> Tensor:
    return torch.randn((images, *SHAPE), generator=torch.Generator().manual_seed(seed))


def bare(model: nn.Module) -> nn.Module:
    """Without its batch norms, and nothing in their place but the activations they held."""
    made = copy.deepcopy(model)
    for name, child in list(made.named_modules()):
        if foldable(child):
            made.set_submodule(name, after(child))
    return made


def ends(found: Trace) -> tuple[float, float]:
    variances = [point.out.var for point in found.points if point.index]
    return min(variances), max(variances)


def told(low: float, high: float) -> str:
    return f"{low:.3g} to {high:.3g}"


def traced(model: nn.Module) -> Trace:
    return trace(model, input_shape=SHAPE, draws=2, branches_on=True, seed=5)


def signal_row(name: str, after_it: Trace, reference: Trace) -> Row:
    low, high = ends(after_it)
    return Row(
        f"{name}: variance over {len(after_it.points) - 1} blocks, least to most",
        told(low, high),
        f"norms taken out: {told(*ends(reference))}",
        None,
        2,
        "0.1 to 10",
        answer(low >= 0.1 and high <= 10),
    )


@torch.no_grad()
def lived(model: nn.Module) -> nn.Module:
    """With scales, shifts and statistics that do something, as after training."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if foldable(module):
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.uniform_(-0.5, 0.5, generator=generator)
    model.train()
    for seed in range(3):
        model(1 + 2 * noise(10 + seed))
    return model.eval()


@torch.no_grad()
def kept(name: str, dtype: torch.dtype) -> Row:
    model = lived(MODELS[name]()).to(dtype)
    done = operate(model, "nf", images=noise(0).to(dtype), keep_function=True)
    images = noise(20).to(dtype)  # that the conversion has not seen
    was, now = model(images), done.module.eval()(images)
    largest = float((was - now).abs().max())
    share = largest / float(was.abs().max())
    most = 1e-4 if dtype is torch.float32 else 1e-12
    return Row(
        f"{name}, folded ({done.replaced} norms, {len(done.left)} left), {str(dtype).removeprefix('torch.')}: "
        "largest difference of an output, and over the largest output",
        f"{largest:.2g}, {share:.2g}",
        f"outputs to {float(was.abs().max()):.3g}",
        None,
        1,
        f"at most {most:g} of it",
        answer(share <= most),
    )


def timed(make: Callable[[], Conversion], name: str) -> tuple[Conversion, Row]:
    seconds = []
    for _ in range(CONVERSIONS):
        began = time.perf_counter()
        found = make()
        seconds.append(time.perf_counter() - began)
    ends_ = f"{min(seconds):.1f} to {max(seconds):.1f}"
    what = f"{name}: seconds of a conversion with both traces"
    return found, Row(what, f"{statistics.median(seconds):.1f}", ends_, None, CONVERSIONS, "")


def main() -> None:
    warnings.simplefilter("ignore")
    signals, times = [], []
    for name, make in MODELS.items():
        model = make()
        found, row = timed(lambda model=model: convert(model, "nf"), f"{name}, live")
        signals.append(signal_row(f"{name}, live", traced(found.module), traced(bare(model))))
        times.append(row)
    for name in SPECS:
        found, row = timed(lambda name=name: convert(name, "nf"), f"{name}, as a spec")
        plain = bare(cs.build(cs.spec(name), seed=0))
        signals.append(signal_row(f"{name}, as a spec", traced(found.module), traced(plain)))
        times.append(row)
    folds = [kept(name, dtype) for name in MODELS for dtype in (torch.float32, torch.float64)]
    note = (
        f"{torch.get_num_threads()} threads. Random weights, {SHAPE[1]} px, unit Gaussian noise, scales that start at 0 set to "
        "1. Variances are means of two draws of 4 images. A conversion sets scales on 8 images and traces 4 before and after."
    )
    save("surgery", "Normaliser surgery", "reference", [*signals, *folds, *times], note)


if __name__ == "__main__":
    main()
