"""Networks broken on purpose, each in one way: what `verdict` must find. Used by its tests and by its bench."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

import convsmith as cs
from convsmith.arch import Act, ArchSpec
from convsmith.layers import ScaledWSConv2d
from convsmith.parts import NFBottleneck, NoNorm, PlainConv, ScaledWS
from convsmith.parts.blocks.shortcut import Shortcut
from convsmith.parts.convs.scaled_ws import Guard

__all__ = ["BROKEN", "Broken", "he", "nf", "preact"]


@dataclass(frozen=True)
class Broken:
    """A network, what is wrong with it in words, and the laws of which `verdict` must name one or more."""

    name: str
    make: Callable[[], nn.Module]
    laws: frozenset[str]


@torch.no_grad()
def he(model: nn.Module, power: float = 2.0) -> nn.Module:
    """Every convolution from N(0, power / fan-in)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.normal_(0, (power / module.weight[0].numel()) ** 0.5)
    return model


def preact(depths: tuple[int, ...] = (3, 4, 6, 3), width: int = 32) -> ArchSpec:
    """A pre-activation ResNet without a stem's pool, narrow enough for a laptop."""
    base = cs.spec("resnetv2_50")
    stages = tuple(
        replace(stage, depth=depth, width=4 * width * 2**at)
        for at, (stage, depth) in enumerate(zip(base.stages, depths, strict=True))
    )
    return replace(
        base, name="preact", stages=stages, stem=replace(base.stem, width=width, pool=False)
    ).with_resolution(64)


def nf(depths: tuple[int, ...] = (3, 4, 6, 3), *, act: Act = Act.RELU, alpha: float = 0.2, width: int = 32) -> ArchSpec:
    """The authors' normaliser-free ResNet of these depths, its branches on from the start."""
    base = preact(depths, width)
    block = NFBottleneck(alpha=alpha, shortcut=Shortcut.CONV, skip_init=False)
    stages = tuple(replace(stage, block=block) for stage in base.stages)
    return replace(base, name="nf", stages=stages).with_style(norm=NoNorm(act=act, gain=True), conv=ScaledWS())


def _build(spec: ArchSpec) -> nn.Module:
    return cs.build(spec, seed=0)


@torch.no_grad()
def _changed(spec: ArchSpec, change: Callable[[nn.Module], object], kind: type[nn.Module] = nn.Conv2d) -> nn.Module:
    model = _build(spec)
    for module in model.modules():
        if isinstance(module, kind):
            change(module)
    return model


def _sigmoid_chain() -> nn.Module:
    layers: list[nn.Module] = []
    for at in range(12):
        layers += [nn.Conv2d(3 if at == 0 else 32, 32, 3, padding=1), nn.Sigmoid()]
    return he(nn.Sequential(*layers))


def _standardised_depthwise() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1)]
    for _ in range(6):
        layers += [nn.ReLU(), ScaledWSConv2d(32, 32, 3, groups=32, scale=1.7), ScaledWSConv2d(32, 32, 1)]
    return nn.Sequential(*layers)


def _not_a_number() -> nn.Module:
    model = _build(preact())
    model.get_parameter("stages.2.0.branch.conv.conv.weight").data[0, 0, 0, 0] = float("nan")
    return model


def _cut() -> nn.Module:
    model = _build(nf())
    for name, parameter in model.named_parameters():
        if name.startswith("stages.2.0.") and name.endswith(("gain", "bias")):
            parameter.data.zero_()
    return model


def _uneven() -> nn.Module:
    model = _build(nf())
    model.get_parameter("stages.1.2.branch.restore.gain").data.fill_(8.0)
    return model


_no_norm = preact((3, 8, 8, 3)).with_style(norm=NoNorm(act=Act.RELU))
_plain_nf = nf((12, 12, 12, 12), width=16).with_style(conv=PlainConv(), norm=NoNorm(act=Act.RELU))
_double = nf().with_style(conv=ScaledWS(gain_of=Act.RELU))
_guard = nf().with_style(conv=ScaledWS(eps=1e-3, guard=Guard.ADDED))

BROKEN = (
    Broken("no norm, He, pre-activation", lambda: he(_build(_no_norm)), frozenset({"variance explosion"})),
    Broken("no norm, weights of N(0, 0.01^2)", lambda: _changed(_no_norm, lambda m: nn.init.normal_(m.weight, 0, 0.01)),
           frozenset({"variance vanishing"})),
    Broken("no norm, all weights positive", lambda: _changed(_no_norm, lambda m: m.weight.abs_()), frozenset({"mean shift"})),
    Broken("NF without standardised filters, He", lambda: he(_build(_plain_nf)), frozenset({"mean shift"})),
    Broken("NF without the activation's gain", lambda: _build(nf().with_style(norm=NoNorm(act=Act.RELU))),
           frozenset({"wrong gain"})),
    Broken("NF with SiLU and no gain", lambda: _build(nf(act=Act.SILU).with_style(norm=NoNorm(act=Act.SILU))),
           frozenset({"wrong gain"})),
    Broken("NF with the gain twice", lambda: _build(_double), frozenset({"wrong gain"})),
    Broken("NF with alpha 10", lambda: _build(nf(alpha=10.0)), frozenset({"variance explosion"})),
    Broken("NF with epsilon 1e-3 on the filters' variance", lambda: _build(_guard), frozenset({"eps too large"})),
    Broken("NF with one branch 64 times too strong", _uneven, frozenset({"branch variance"})),
    Broken("NF with one transition block at zero", _cut, frozenset({"variance vanishing"})),
    Broken("standardised depthwise filters", _standardised_depthwise, frozenset({"standardised depthwise"})),
    Broken("batch norms biased to -10", lambda: _changed(preact(), lambda m: nn.init.constant_(m.bias, -10), nn.BatchNorm2d),
           frozenset({"dead channels"})),
    Broken("batch norm behind weights of 1e-4", lambda: _changed(preact(), lambda m: m.weight.mul_(1e-4)),
           frozenset({"eps too large"})),
    Broken("one weight is not a number", _not_a_number, frozenset({"not a number"})),
    Broken("twelve sigmoids, He", _sigmoid_chain, frozenset({"mean shift"})),
)  # fmt: skip
