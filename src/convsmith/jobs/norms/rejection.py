"""What refuses a layer without training: noise through the layer alone, and an ascent on the gradient's norm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .protocol import LayerProtocol

__all__ = ["Ascent", "ascended", "probed"]

# What the layer alone is shown: images, channels and side of standard normal noise.
NOISE = (8, 32, 8, 8)


def probed(layer: nn.Module, gain: tuple[float, float]) -> str:
    """Why a layer of 32 channels is not worth a network, by one forward and one backward pass in training; "" where it may be.

    A gain is the root mean square of what comes out over that of what goes in: of the outputs, for standard normal noise, and
    of the gradients with respect to the inputs, for standard normal ones with respect to the outputs.
    """
    rng = torch.Generator().manual_seed(0)
    x, towards = (torch.randn(NOISE, generator=rng) for _ in range(2))
    x.requires_grad_()
    out: Tensor = layer.train()(x)
    if not out.isfinite().all():
        return "not finite"
    if not out.requires_grad or out.amax() == out.amin():
        return "constant"
    (slope,) = torch.autograd.grad(out, x, towards, allow_unused=True)
    if slope is None or not slope.any():
        return "no gradient"
    if not slope.isfinite().all():
        return "not finite"
    for gone_in, come_out in ((x, out), (towards, slope)):
        share = _norm(come_out) / _norm(gone_in)
        if not share <= gain[1]:
            return "too large a gain"
        if share < gain[0]:
            return "too small a gain"
    return ""


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x.detach().double()))


@dataclass(frozen=True)
class Ascent:
    """How far the gradient's norm climbed: the largest that was seen, at which step, and whether it stayed within its limit."""

    largest: float
    step: int
    stable: bool


def ascended(network: nn.Module, loss: Callable[[nn.Module], Tensor], protocol: LayerProtocol) -> Ascent:
    """Gradient ascent on g(theta) = |d loss / d theta|, over the network's weights of two or more axes, which change:

        theta <- theta + rate * d g / d theta

    In a network whose maps are normalised g falls as its weights grow, so that the climb is slow. Where nothing divides by a
    moment g is like a product of the other layers' weights and is beyond any limit within a few steps. Not being finite counts
    as being beyond.
    """
    network.train()
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    largest, at = 0.0, 0
    for step in range(protocol.ascent_steps + 1):
        slopes = torch.autograd.grad(loss(network), weights, create_graph=True, allow_unused=True)
        g = torch.stack([slope.double().square().sum() for slope in slopes if slope is not None]).sum().sqrt()
        height = g.item()
        if not height <= protocol.ascent_limit:
            return Ascent(height if math.isfinite(height) else math.inf, step, stable=False)
        if height > largest:
            largest, at = height, step
        if step == protocol.ascent_steps or height == 0:
            break
        ups = torch.autograd.grad(g, weights, allow_unused=True)
        with torch.no_grad():
            for weight, up in zip(weights, ups, strict=True):
                if up is not None:
                    weight.add_(up, alpha=protocol.ascent_rate)
    return Ascent(largest, at, stable=True)
