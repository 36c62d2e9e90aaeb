"""What theory expects of a spec's signal at initialisation: `expected`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ..arch import Act, ArchSpec
from ..parts import BatchNorm, NFBottleneck, NFRegNetBlock, NoNorm, PlainConv, PreActBottleneck
from ..parts.acts import activation
from ..parts.blocks.shortcut import Shortcut
from ..plans import Node, plan
from .gain import mean_and_variance

__all__ = ["Expectation", "Init", "expected"]

Init = Literal["own", "he"]


@dataclass(frozen=True)
class Expectation:
    """After one residual block: `energy` = `var` + `sqmean`, and the branch's `branch`; NaN where theory gives no number."""

    path: str
    energy: float
    var: float
    sqmean: float
    branch: float


def expected(spec: ArchSpec, *, init: Init = "own") -> tuple[Expectation, ...] | None:
    """The signal after each residual block of `spec` in closed form, or None where theory here has nothing to say.

    - normaliser-free blocks with Scaled WS: branch 1, variance + alpha^2 a block, 1 + alpha^2 after a transition, mean 0;
    - pre-activation blocks with batch norm: with a = act(N(0, 1)) and P = fan-in * weight variance of the branch's last
      convolution, each adds P Var(a) to the variance and P E(a)^2 to the squared mean; a transition restarts both from
      those of the shortcut's convolution (Brock et al., 2021, section 2; for He's P = 2 and ReLU 0.682 and 0.318);
    - the same blocks with no norm and ReLU: only the energy, which each multiplies by 1 + (P1 P2 P3) / 8.

    `init` is "own" for weights as convsmith initialises them (variance 2 / fan-out) and "he" for 2 / fan-in. The input of
    the first block is taken to be of variance 1 and mean 0. Zero padding and average pools, which take energy, are left
    out, and SkipInit's scalars are taken to be 1.
    """
    nodes = plan(spec)[1:-1]
    blocks = {type(node.part) for node in nodes}
    if blocks <= {NFBottleneck, NFRegNetBlock}:
        return tuple(_normaliser_free(node) for node in nodes)
    if blocks != {PreActBottleneck} or not isinstance(spec.style.conv, PlainConv):
        return None
    norm = spec.style.norm
    if isinstance(norm, BatchNorm):
        return _batch_normed(nodes, norm.act, init)
    if isinstance(norm, NoNorm) and norm.act is Act.RELU and not norm.gain:
        return _unnormalised(nodes, init)
    return None


def _normaliser_free(node: Node) -> Expectation:
    assert isinstance(node.part, NFBottleneck | NFRegNetBlock)
    var = node.part.variance(node.variance, keeps=node.keeps)
    return Expectation(node.path, var, var, 0.0, 1.0)


def _powers(node: Node, init: Init) -> tuple[float, float, float, float]:
    """fan-in * weight variance of a block's three convolutions and of its shortcut's."""
    if init == "he":
        return (2.0, 2.0, 2.0, 2.0)
    assert isinstance(node.part, PreActBottleneck)
    middle = max(1, round(node.c_out * node.part.ratio))
    return (2.0 * node.c_in / middle, 2.0, 2.0 * middle / node.c_out, 2.0 * node.c_in / node.c_out)


def _batch_normed(nodes: tuple[Node, ...], act: Act, init: Init) -> tuple[Expectation, ...]:
    mean, variance = mean_and_variance(activation(act, inplace=False))
    found: list[Expectation] = []
    var, sqmean = 1.0, 0.0
    for node in nodes:
        *_, last, skip = _powers(node, init)
        assert isinstance(node.part, PreActBottleneck)
        if not node.keeps:
            var, sqmean = skip * variance, skip * mean**2
            if node.part.shortcut is Shortcut.POOL_CONV and node.stride > 1:
                var = math.nan  # what a pool leaves depends on how neighbours correlate
        var, sqmean = var + last * variance, sqmean + last * mean**2
        found.append(Expectation(node.path, var + sqmean, var, sqmean, last * variance))
    return tuple(found)


def _unnormalised(nodes: tuple[Node, ...], init: Init) -> tuple[Expectation, ...]:
    found: list[Expectation] = []
    energy = 1.0
    for node in nodes:
        one, two, three, skip = _powers(node, init)
        branch = energy * one * two * three / 8
        energy = (energy if node.keeps else energy * skip / 2) + branch
        found.append(Expectation(node.path, energy, math.nan, math.nan, math.nan))
    return tuple(found)
