"""What theory expects of a spec's signal at initialisation: `expected`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ..arch import Act, ArchSpec, Node, Stem, trunk
from ..parts import BatchNorm, NFBottleneck, NFRegNetBlock, NoNorm, PlainConv, PreActBottleneck, ScaledWS
from ..parts.acts import activation
from ..parts.blocks.shortcut import Shortcut
from ..parts.gains import RELEASED
from .alike import Alike, behind, of_maxima
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

    - normaliser-free blocks with Scaled WS: with q(v) = gamma^2 Var f(sqrt(v) z) for z ~ N(0, 1), a block's inner map has
      h = q(v) / beta^2, its branch q(q(h)), its output v + alpha^2 q(q(h)), after a transition h + alpha^2 q(q(h)); mean 0.
      ReLU's q(v) is v: branch 1, alpha^2 more a block, 1 + alpha^2 after a transition. SiLU's q(v) / v rises with v, so
      what beta is too small by grows from block to block, and no transition resets it. Of what is independent from pixel
      to pixel a shortcut's average pool leaves 1/4, and more behind a stem's max-pool, whose windows overlap: `Alike`;
    - pre-activation blocks with batch norm: with a = act(N(0, 1)) and P = fan-in * weight variance of the branch's last
      convolution, each adds P Var(a) to the variance and P E(a)^2 to the squared mean; a transition restarts both from
      those of the shortcut's convolution (Brock et al., 2021, section 2; for He's P = 2 and ReLU 0.682 and 0.318);
    - the same blocks with no norm and ReLU: only the energy, which each multiplies by 1 + (P1 P2 P3) / 8.

    `init` is "own" for weights as convsmith initialises them (variance 2 / fan-out) and "he" for 2 / fan-in. The input of
    the first block is taken to be of mean 0 and variance 1, or that of the gain which a stem's filters carry; with a bare
    stem that ends in a max-pool, to be maxima of nine such values. Zero padding, which takes energy, is left out; SkipInit's
    scalars are taken to be 1, gates to put out what enters, and networks to be wide.
    """
    stem, *nodes = trunk(spec)
    blocks = {type(node.part) for node in nodes}
    norm, conv = spec.style.norm, spec.style.conv
    if blocks <= {NFBottleneck, NFRegNetBlock} and isinstance(norm, NoNorm) and isinstance(conv, ScaledWS):
        return _normaliser_free([stem, *nodes], norm, RELEASED[conv.gain_of])
    if blocks != {PreActBottleneck} or not isinstance(conv, PlainConv):
        return None
    if isinstance(norm, BatchNorm):
        return _batch_normed(nodes, norm.act, init)
    if isinstance(norm, NoNorm) and norm.act is Act.RELU and not norm.gain:
        return _unnormalised(nodes, init)
    return None


@lru_cache(maxsize=4096)
def _behind(act: Act, before: Alike, gain: float) -> Alike:
    """Of gain * act(x) for Gaussian maps x."""
    return behind(activation(act, inplace=False), before) * gain**2


def _normaliser_free(nodes: Sequence[Node], norm: NoNorm, of_filters: float) -> tuple[Expectation, ...] | None:
    stem, *blocks = nodes
    assert isinstance(stem.part, Stem)
    maxima = stem.part.maxima
    if maxima and blocks[0].keeps:
        return None  # what is added to maxima, whose means are not 0, is no Gaussian either
    found: list[Expectation] = []
    gain, map_ = norm.factor * of_filters, Alike(of_filters**2)
    for node in blocks:
        block = node.part
        assert isinstance(block, NFBottleneck | NFRegNetBlock)
        first, then = (node.variance, 1.0) if block.beta_first else (1.0, node.variance)
        if maxima and node is blocks[0]:
            inner = of_maxima(activation(norm.act, inplace=False), map_.variance / first) * (gain**2 / then)
        else:
            inner = _behind(norm.act, map_ * (1 / first), gain) * (1 / then)
        branch = _behind(norm.act, _behind(norm.act, inner, gain).strided(node.stride), gain)
        pooled = isinstance(block, NFRegNetBlock) or block.shortcut is Shortcut.POOL_CONV
        skip = map_ if node.keeps else inner.pooled() if pooled and node.stride > 1 else inner.strided(node.stride)
        map_ = skip + branch * block.alpha**2
        found.append(Expectation(node.path, map_.variance, map_.variance, 0.0, branch.variance))
    return tuple(found)


def _powers(node: Node, init: Init) -> tuple[float, float, float, float]:
    """fan-in * weight variance of a block's three convolutions and of its shortcut's."""
    if init == "he":
        return (2.0, 2.0, 2.0, 2.0)
    assert isinstance(node.part, PreActBottleneck)
    middle = max(1, round(node.c_out * node.part.ratio))
    return (2.0 * node.c_in / middle, 2.0, 2.0 * middle / node.c_out, 2.0 * node.c_in / node.c_out)


def _batch_normed(nodes: Sequence[Node], act: Act, init: Init) -> tuple[Expectation, ...]:
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


def _unnormalised(nodes: Sequence[Node], init: Init) -> tuple[Expectation, ...]:
    found: list[Expectation] = []
    energy = 1.0
    for node in nodes:
        one, two, three, skip = _powers(node, init)
        branch = energy * one * two * three / 8
        energy = (energy if node.keeps else energy * skip / 2) + branch
        found.append(Expectation(node.path, energy, math.nan, math.nan, math.nan))
    return tuple(found)
