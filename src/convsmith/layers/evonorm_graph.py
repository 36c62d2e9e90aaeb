"""EvoNorm's two shapes, x s(v x) / std and x / max(L, a x + b), as expressions: what stands in a graph.

`sigmoid_gate` and `max_gate` are the layers as the paper writes them, for export and for derivatives of any order. Their
`Graph` forms have the gradient written out too, since a compiler fuses it better than what it derives by itself, and save
only x and one number for each image and channel (or group).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["GraphMaxGate", "GraphSigmoidGate", "accurate", "batch_variance", "inverse_root", "max_gate", "sigmoid_gate"]


def _wide(rows: Tensor) -> Tensor:
    """⟨..., C⟩ -> ⟨..., C, 1, 1⟩, to stand beside a map."""
    return rows[..., None, None]


def accurate(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _grouped(rows: Tensor, groups: int) -> Tensor:
    """⟨N, C⟩ -> ⟨N, G, C / G⟩."""
    return rows.unflatten(1, (groups, -1))


def _ungrouped(rows: Tensor, channels: int) -> Tensor:
    """⟨N, G⟩ -> ⟨N, C⟩."""
    return rows[..., None].expand(-1, -1, channels // rows.shape[1]).flatten(1)


def _group_moments(mean: Tensor, variance: Tensor, groups: int, *, centred: bool) -> tuple[Tensor, Tensor]:
    """Mean and (un)centred second moment ⟨N, G⟩ of groups, from those of their channels ⟨N, C⟩.

    The uncentred moment's gradient has no mean in it, so that mean is given as 0.
    """
    means = _grouped(mean, groups)
    if not centred:
        second = (_grouped(variance, groups) + means.square()).mean(2)
        return torch.zeros_like(second), second
    middle = means.mean(2)
    return middle, (_grouped(variance, groups) + (means - middle[..., None]).square()).mean(2)


def inverse_root(mean: Tensor, second: Tensor, eps: float) -> Tensor:
    """1 / sqrt(second + eps) of groups; 0 for a group of nothing but zeros, which it leaves 0.

    Its gradient would grow by 1 / sqrt(eps) in every layer on the way back, and overflow within one network.
    """
    return (second + eps).rsqrt().masked_fill((second == 0) & (mean == 0), 0)


def batch_variance(mean: Tensor, variance: Tensor) -> Tensor:
    """bvar from the moments of the images: the mean of their variances and the variance of their means."""
    return (variance + (mean - mean.mean(0)).square()).mean(0)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population variance ⟨N, C⟩ over space, in two passes: nothing is centred here, so means are large."""
    mean = x.mean((2, 3))
    return mean, (x - _wide(mean)).square().mean((2, 3))


def sigmoid_gate(
    x: Tensor, weight: Tensor, bias: Tensor, v: Tensor | None, groups: int, eps: float, centred: bool, gated: bool
) -> Tensor:
    """weight x s(v x) / sqrt(second + eps) + bias, the second moment over groups; without s where not `gated`."""
    dtype = x.dtype
    x, channels = x.to(accurate(x)), x.shape[1]
    weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    mean, second = _group_moments(*_moments(x), groups, centred=centred)
    # Without a gradient there is nothing to keep from growing, and an exported graph is spared the question.
    inverse = inverse_root(mean, second, eps) if torch.is_grad_enabled() else (second + eps).rsqrt()
    scale = weight * _ungrouped(inverse, channels)
    if gated:
        x = x * torch.sigmoid(x if v is None else x * _wide(v.to(x.dtype)))
    return (x * _wide(scale) + _wide(bias)).to(dtype)


def _slope(kind: str, v: Tensor | None, root: Tensor) -> Tensor:
    """a in the second argument a x + b of the max; b is the root of the moment in all three."""
    if kind == "b0":
        assert v is not None
        return _wide(v.to(root.dtype))
    return _wide(root) if kind == "b1" else -torch.ones_like(_wide(root))


def max_gate(
    x: Tensor, weight: Tensor, bias: Tensor, v: Tensor | None, known: Tensor | None, eps: float, kind: str
) -> tuple[Tensor, Tensor]:
    """weight x / max(sqrt(bvar + eps), a x + b) + bias, and bvar: the batch's, or `known` in evaluation."""
    dtype = x.dtype
    x = x.to(accurate(x))
    mean, variance = _moments(x)
    root = ((variance if kind == "b0" else variance + mean.square()) + eps).sqrt()
    bvar = batch_variance(mean, variance) if known is None else known.to(x.dtype)
    floor = _wide((bvar + eps).sqrt())
    right = x * _slope(kind, v, root) + _wide(root)
    out = x / torch.maximum(floor, right) * _wide(weight.to(x.dtype)) + _wide(bias.to(x.dtype))
    return out.to(dtype), bvar


class GraphSigmoidGate(torch.autograd.Function):
    """`sigmoid_gate` with the gradient of `SigmoidGate`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        v: Tensor | None,
        groups: int,
        eps: float,
        centred: bool,
        gated: bool,
    ) -> Tensor:
        wide, channels = x.to(accurate(x)), x.shape[1]
        mean, second = _group_moments(*_moments(wide), groups, centred=centred)
        inverse = inverse_root(mean, second, eps)
        ctx.save_for_backward(x, weight, v, mean, inverse)
        ctx.groups, ctx.gated = groups, gated
        u = wide * _sigmoid(wide, v) if gated else wide
        return (u * _wide(weight * _ungrouped(inverse, channels)) + _wide(bias)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        narrow, weight, v, mean, inverse = ctx.saved_tensors
        groups, channels, dtype = ctx.groups, narrow.shape[1], narrow.dtype
        x, g = narrow.to(accurate(narrow)), grad.to(accurate(narrow))
        each = _ungrouped(inverse, channels)
        scale = weight * each
        s = _sigmoid(x, v) if ctx.gated else torch.ones_like(x)
        gu = g * x * s
        bend = gu * (1 - s)
        sum_gu = gu.sum((2, 3))
        pull = _grouped(sum_gu * weight, groups).sum(2) * inverse.pow(3) / -(math.prod(x.shape[1:]) // groups)
        slope = g * s + (bend if v is None else _wide(v) * bend)
        centred = x - _wide(_ungrouped(mean, channels))
        dx = _wide(scale) * slope + _wide(_ungrouped(pull, channels)) * centred
        dv = None if v is None else ((bend * x).sum((2, 3)) * scale).sum(0)
        return dx.to(dtype), (sum_gu * each).sum(0), g.sum((2, 3)).sum(0), dv, None, None, None, None


def _sigmoid(x: Tensor, v: Tensor | None) -> Tensor:
    return torch.sigmoid(x if v is None else x * _wide(v))


class GraphMaxGate(torch.autograd.Function):
    """`max_gate` with the gradient of `MaxGate`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        v: Tensor | None,
        known: Tensor | None,
        eps: float,
        kind: str,
    ) -> tuple[Tensor, Tensor]:
        wide = x.to(accurate(x))
        mean, variance = _moments(wide)
        root = ((variance if kind == "b0" else variance + mean.square()) + eps).sqrt()
        bvar = batch_variance(mean, variance) if known is None else known.to(wide.dtype, copy=True)
        ctx.save_for_backward(x, weight, v, bvar, mean, root)
        ctx.mark_non_differentiable(bvar)
        ctx.eps, ctx.kind, ctx.training = eps, kind, known is None
        larger = torch.maximum(_wide((bvar + eps).sqrt()), wide * _slope(kind, v, root) + _wide(root))
        return (wide / larger * _wide(weight) + _wide(bias)).to(x.dtype), bvar

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        narrow, weight, v, bvar, mean, root = ctx.saved_tensors
        dtype, kind, area = narrow.dtype, ctx.kind, math.prod(narrow.shape[2:])
        x, g = narrow.to(accurate(narrow)), grad.to(accurate(narrow))
        floor = (bvar + ctx.eps).sqrt()
        slope = _slope(kind, v, root)
        right = x * slope + _wide(root)
        inside = right > _wide(floor)
        inverse = torch.where(inside, right, _wide(floor)).reciprocal()
        e, u = g * inverse, x * inverse
        k = e * u  # -q but for the weight
        k_right = torch.where(inside, k, 0.0)
        db = -weight * k_right.sum((2, 3))
        da = -weight * (k_right * x).sum((2, 3))
        pull = (da + db if kind == "b1" else db) / (area * root)
        push = pull * mean if kind == "b0" else torch.zeros_like(mean)
        if ctx.training:
            whole = -weight * (k - k_right).sum((2, 3)).sum(0) / (len(x) * area * floor)
            pull, push = pull + whole, push + whole * mean.mean(0)
        dx = _wide(weight) * (e - slope * k_right) + _wide(pull) * x - _wide(push)
        dv = None if v is None else da.sum(0)
        return dx.to(dtype), (g * u).sum((2, 3)).sum(0), g.sum((2, 3)).sum(0), dv, None, None, None
