"""The same weights in timm's or torchvision's network and in ours: how far apart are logits and gradients?

One member of each family, random weights and statistics, float64 and float32, evaluation and training mode. Writes
docs/parity.md. `tests/test_parity.py` asserts the float64 column on every run of the tests.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from convsmith.arch import ArchSpec
from convsmith.families import spec
from convsmith.model import Model, build
from convsmith.weights.maps import Dialect, names, renamed

# (ours, theirs, side): one member a family and package, at a side that keeps it quick.
PAIRS: tuple[tuple[str, str, int], ...] = (
    ("efficientnet_b0", "timm:efficientnet_b0", 64),
    ("efficientnet_b0", "tv:efficientnet_b0", 64),
    ("tf_efficientnet_b1", "timm:tf_efficientnet_b1", 65),
    ("tinynet_e", "timm:tinynet_e", 106),
    ("tf_efficientnet_lite0", "timm:tf_efficientnet_lite0", 64),
    ("efficientnet_lite1", "timm:efficientnet_lite1", 64),
    ("ghostnet_100", "timm:ghostnet_100", 64),
    ("nf_resnet26", "timm:nf_resnet26", 64),
    ("nf_seresnet26", "timm:nf_seresnet26", 64),
    ("nf_regnet_b0", "timm:nf_regnet_b0", 96),
    ("nf_regnet_b1", "timm:nf_regnet_b1", 96),
    ("resnetv2_50", "timm:resnetv2_50", 64),
    ("mnasnet_100", "timm:mnasnet_100", 64),
    ("mnasnet_100", "tv:mnasnet1_0", 64),
    ("semnasnet_100", "timm:semnasnet_100", 64),
    ("mobilenetv1_100", "timm:mobilenetv1_100", 64),
    ("mobilenetv2_100", "timm:mobilenetv2_100", 64),
    ("mobilenetv2_100", "tv:mobilenet_v2", 64),
    ("resnet18", "timm:resnet18", 64),
    ("resnet50", "timm:resnet50", 64),
    ("resnet50", "tv:resnet50", 64),
    ("resnetrs50", "timm:resnetrs50", 64),
)


@dataclass(frozen=True)
class Distance:
    """The largest difference over the largest value, of logits and of the parameters' gradients."""

    evaluation: float
    training: float
    gradients: float


def peer(name: str) -> nn.Module:
    """`timm:NAME` or `tv:NAME`, built and not fetched."""
    source, _, wanted = name.partition(":")
    if source == "timm":
        import timm

        return timm.create_model(wanted)
    from torchvision import models

    return models.get_model(wanted, weights=None)


@torch.no_grad()
def shake(model: nn.Module) -> None:
    """Nothing stays at a start that could hide a mistake: no norm at 1 and 0, no branch or bias at 0."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        gain = tensor.numel() == max(tensor.shape, default=1)  # also one shaped like a filter, as in NF-ResNets
        if not gain or not tensor.is_floating_point():
            continue
        noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
        tensor.copy_(0.75 + noise / 2 if not name.endswith(("bias", "mean")) else noise / 2 - 0.25)


def twins(ours: str, theirs: str, dtype: torch.dtype) -> tuple[Model, nn.Module]:
    """Our network and theirs with the same weights, without dropout of any kind."""
    other = peer(theirs).to(dtype)
    shake(other)
    arch = _alike(spec(ours), other)
    dialect = Dialect.TIMM if theirs.startswith("timm:") else Dialect.TORCHVISION
    assert set(names(arch, dialect).values()) == other.state_dict().keys()
    mine = build(arch, seed=0).to(dtype)
    mine.load_state_dict(renamed(arch, other.state_dict(), dialect))
    if "drop_rate" in vars(other):  # timm's GhostNet drops by a function
        other.drop_rate = 0.0
    for model in (mine, other):
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            if type(module).__name__ == "StochasticDepth":  # torchvision's, which is on by default
                module.p = 0.0
    return mine, other


def _alike(arch: ArchSpec, other: nn.Module) -> ArchSpec:
    eps = next((module.eps for module in other.modules() if isinstance(module, nn.BatchNorm2d)), None)
    norm = arch.style.norm if eps is None else replace(arch.style.norm, eps=eps)  # type: ignore[call-arg]
    return arch.with_style(norm=norm, drop_path=0.0)


def distance(ours: str, theirs: str, side: int, dtype: torch.dtype = torch.float64) -> Distance:
    """How far apart the twins are on two random images."""
    mine, other = twins(ours, theirs, dtype)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 3, side, side, dtype=dtype, generator=generator)
    weights = torch.randn(2, 1000, dtype=dtype, generator=generator)
    with torch.inference_mode():
        evaluation = apart([mine.eval()(x)], [other.eval()(x)])
    mine.train(), other.train()
    a, b = mine(x), other(x)
    training = apart([a.detach()], [b.detach()])
    (a * weights).sum().backward()
    (b * weights).sum().backward()
    found = names(mine.spec, Dialect.TIMM if theirs.startswith("timm:") else Dialect.TORCHVISION)
    gradients, expected = dict(other.named_parameters()), []
    for key, _ in mine.named_parameters():
        expected.append(gradients[found[key]].grad)
    return Distance(evaluation, training, apart([p.grad for p in mine.parameters()], expected))


def apart(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    """The largest difference over the largest value expected, over all tensors together."""
    largest = max(float(tensor.abs().max()) for tensor in expected)
    worst = max(float((a.flatten() - b.flatten()).abs().max()) for a, b in zip(found, expected, strict=True))
    return worst / largest


def main() -> int:
    torch.set_num_threads(2)
    lines = [
        "# Parity",
        "",
        "The same random weights in another package's network and in ours: the largest difference over the largest value.",
        f"Written by `python bench/parity.py`; torch {torch.__version__.split('+')[0]}, CPU.",
        "Goals: 1e-5 in float64, 1e-4 in float32.",
        "",
        "| ours | theirs | px | logits, eval, f64 | train, f64 | gradients, f64 | eval, f32 | train, f32 |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for ours, theirs, side in PAIRS:
        double, single = (distance(ours, theirs, side, dtype) for dtype in (torch.float64, torch.float32))
        numbers = (double.evaluation, double.training, double.gradients, single.evaluation, single.training)
        lines.append(f"| `{ours}` | `{theirs}` | {side} | " + " | ".join(f"{number:.0e}" for number in numbers) + " |")
        print(lines[-1], flush=True)
    (Path(__file__).parents[1] / "docs/parity.md").write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
