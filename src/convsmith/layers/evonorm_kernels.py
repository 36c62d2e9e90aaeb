"""EvoNorm computed part by part, with its gradient in closed form.

Only x and one number for each image and channel (or group) are saved; what else the gradient needs is computed again.

On a CPU the batch is gone through a few images at a time, so that the temporaries of one part stay in cache: each step is
one of torch's vectorised kernels into a buffer that the next part uses again. On other devices the batch is one part.

Both functions can be differentiated twice: where a graph of the gradient is asked for, the expression is differentiated.
They are no part of a traced graph, and torch.func's transforms refuse them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from .evonorm_graph import accurate, batch_variance, inverse_root, max_gate, sigmoid_gate

__all__ = ["MaxGate", "SigmoidGate"]

_PART = 1 << 18  # values a part at least: buffers of 1 MiB stay in cache, and the calls' overhead is small
_GRAIN = 1 << 15  # values that torch gives a thread at least


class _Parts:
    """A batch ⟨N,C,H,W⟩ cut into runs of images, and buffers of a run's size in its layout and at least float32."""

    def __init__(self, x: Tensor, buffers: int) -> None:
        images, *shape = x.shape
        self.dtype = accurate(x)
        self.last = x.is_contiguous(memory_format=torch.channels_last)
        self.layout = torch.channels_last if self.last else torch.contiguous_format
        self.size = max(1, images)
        if x.device.type == "cpu":
            values = max(_PART, _GRAIN * torch.get_num_threads())
            self.size = min(self.size, -(-values // max(1, math.prod(shape))))
        self.buffers = [
            torch.empty((self.size, *shape), dtype=self.dtype, device=x.device, memory_format=self.layout)
            for _ in range(buffers)
        ]

    def each(self, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """The runs of tensors ⟨N, ...⟩, side by side."""
        if len(tensors[0]) <= self.size:
            return iter((tensors,))
        return zip(*(tensor.split(self.size) for tensor in tensors), strict=True)

    def ready(self, x: Tensor) -> Tensor:
        """`x` in the layout and dtype that the kernels are quick in; most often x itself."""
        x = x if x.dtype == self.dtype else x.to(self.dtype)
        return x.contiguous(memory_format=self.layout)

    def free(self, images: int) -> list[Tensor]:
        """The buffers, `images` long."""
        return self.buffers if images == self.size else [buffer[:images] for buffer in self.buffers]

    def row(self, values: Tensor) -> Tensor:
        """⟨C⟩ -> ⟨C,1,1⟩."""
        values = values if values.dtype == self.dtype else values.to(self.dtype)
        return values.view(-1, 1, 1)

    def rows(self, x: Tensor, count: int) -> list[Tensor]:
        """`count` tensors ⟨N,C,1,1⟩ for sums over maps, of zeros."""
        return list(torch.zeros((count, *x.shape[:2], 1, 1), dtype=self.dtype, device=x.device))

    def affine(self, x: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> Tensor:
        """out = scale x + shift, by the kernels that are vectorised in this layout."""
        if self.last:
            return torch.addcmul(shift, x, scale, out=out)
        return torch.mul(x, scale, out=out).add_(shift)

    def put(self, buffer: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
        """out = scale buffer + shift, computed in the buffer where `out` is of a coarser dtype."""
        if out.dtype == buffer.dtype:
            self.affine(buffer, scale, shift, out)
        else:
            out.copy_(self.affine(buffer, scale, shift, buffer))


def _sum(x: Tensor, out: Tensor) -> Tensor:
    """out = the sums over maps, ⟨N,C,1,1⟩."""
    return torch.sum(x, (2, 3), keepdim=True, out=out)


def _by_group(rows: Tensor, groups: int) -> Tensor:
    """The sums over groups of ⟨N,C,1,1⟩, as ⟨N,G,1⟩."""
    return rows.view(len(rows), groups, rows.shape[1] // groups).sum(2, keepdim=True)


def _by_channel(rows: Tensor, channels: int) -> Tensor:
    """⟨N,G,1⟩ -> ⟨N,C,1,1⟩."""
    images, groups, _ = rows.shape
    if groups == channels:
        return rows.view(images, channels, 1, 1)
    return rows.expand(images, groups, channels // groups).reshape(images, channels, 1, 1)


def _gate(x: Tensor, slope: Tensor | None, out: Tensor) -> Tensor:
    """out = s(v x)."""
    return torch.sigmoid(x, out=out) if slope is None else torch.mul(x, slope, out=out).sigmoid_()


class SigmoidGate(torch.autograd.Function):
    """`sigmoid_gate`; saves x, and mean and 1 / std of the groups, ⟨N,G,1⟩.

    With h = weight grad, u = x s(v x), m values a group and T = the group's sum of h u:

        dx = h / std (s + v x s (1 - s)) - T (x - mean) / (m std^3);   dv = sum of h / std x^2 s (1 - s)

    S2's moment is not centred: the same with 0 for the mean.
    """

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
        parts, channels = _Parts(x, 1), x.shape[1]
        values = math.prod(x.shape[1:]) // groups
        gamma, shift, slope = parts.row(weight), parts.row(bias), None if v is None else parts.row(v)
        out = torch.empty_like(x, memory_format=parts.layout)
        (sums,) = parts.rows(x, 1)
        mean, inverse = torch.zeros((2, len(x), groups, 1), dtype=parts.dtype, device=x.device)
        for part, total, middle, scale, target in parts.each(x, sums, mean, inverse, out):
            part = parts.ready(part)
            (u,) = parts.free(len(part))
            if centred:
                torch.div(_by_group(_sum(part, out=total), groups), values, out=middle)
                torch.sub(part, _by_channel(middle, channels), out=u)
                u.mul_(u)
            else:
                torch.mul(part, part, out=u)
            scale.copy_(inverse_root(middle, _by_group(_sum(u, out=total), groups).div_(values), eps))
            if gated:
                _gate(part, slope, out=u).mul_(part)
            else:
                u.copy_(part)
            parts.put(u, gamma * _by_channel(scale, channels), shift, target)
        ctx.rest = groups, eps, centred, gated
        ctx.save_for_backward(x, weight, bias, v, mean, inverse)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight, bias, v, mean, inverse = ctx.saved_tensors
        groups, _, centred, gated = ctx.rest
        if torch.is_grad_enabled():
            return _expressed(lambda *given: sigmoid_gate(*given, *ctx.rest), (x, weight, bias, v), grad, len(ctx.rest))
        parts, channels = _Parts(x, 3), x.shape[1]
        gamma, slope = parts.row(weight), None if v is None else parts.row(v)
        each = _by_channel(inverse, channels)
        scale, pulls = gamma * each, inverse.pow(3).div_(-max(1, math.prod(x.shape[1:]) // groups))
        dx = torch.empty_like(x, memory_format=parts.layout)
        sums = sum_g, sum_gu, sum_gvx = parts.rows(x, 3)
        for part, g, target, row, pull, middle, of_g, of_gu, of_gvx in parts.each(
            x, grad, dx, scale, pulls, mean, *sums
        ):
            part, g = parts.ready(part), parts.ready(g)
            s, p, q = parts.free(len(part))
            _sum(g, out=of_g)
            torch.mul(g, part, out=p)  # g x
            if gated:
                _gate(part, slope, out=s)
                torch.mul(p, s, out=q)  # g u
                _sum(q, out=of_gu)
                torch.addcmul(q, q, s, value=-1, out=q)  # g x s (1 - s)
                s.mul_(g)
                if slope is None:
                    s.add_(q)
                else:
                    _sum(torch.mul(q, part, out=p), out=of_gvx)
                    s.addcmul_(q, slope)
            else:
                _sum(p, out=of_gu)
                s.copy_(g)
            pull = _by_group(of_gu * gamma, groups).mul_(pull)
            if centred:
                parts.affine(part, _by_channel(pull, channels), _by_channel(-pull * middle, channels), out=p)
            else:
                torch.mul(part, _by_channel(pull, channels), out=p)
            if p.dtype == target.dtype:
                torch.addcmul(p, s, row, out=target)
            else:
                target.copy_(p.addcmul_(s, row))
        dweight, dbias = (sum_gu * each).sum((0, 2, 3)), sum_g.sum((0, 2, 3))
        dv = None if v is None else (sum_gvx * scale).sum((0, 2, 3))
        return dx, dweight, dbias, dv, None, None, None, None


class MaxGate(torch.autograd.Function):
    """`max_gate`; saves x, and mean and b of the maps, ⟨N,C,1,1⟩.

    With L the root of the batch's moment, R = a x + b, D the larger, h = weight grad and q = -h x / D^2:

        dx = h / D + [R > L] a q + dL (x - channel mean) / (M L) + dr (x - mean) / (H W r);   dL = sum of [R <= L] q

    where r = b is the root of the image's moment, M = N H W, and of the sums db = [R > L] q and da = [R > L] q x over a
    map: dr = db for B0 and B2, da + db for B1; dv = da over images for B0. B1 and B2 have an uncentred moment: 0 for the
    last mean. Everything is computed with R / L and x / L, so that the max is with 1.
    """

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
        parts, area = _Parts(x, 1), math.prod(x.shape[2:])
        mean, variance = rows = parts.rows(x, 2)
        for part, middle, spread in parts.each(x, *rows):
            part = parts.ready(part)
            (centred,) = parts.free(len(part))
            torch.sub(part, _sum(part, out=middle).div_(area), out=centred)
            _sum(centred.mul_(centred), out=spread).div_(area)
        root = torch.addcmul(variance, mean, mean) if kind != "b0" else variance.clone()
        root.add_(eps).sqrt_()
        bvar = batch_variance(mean, variance).view(-1) if known is None else known.to(parts.dtype, copy=True)
        floor = (bvar + eps).sqrt_().view(-1, 1, 1)
        a, b = _scaled(kind, v, root, floor)
        scale, shift = parts.row(weight) / floor, parts.row(bias)
        out = torch.empty_like(x, memory_format=parts.layout)
        for part, slope, start, target in parts.each(x, a, b, out):
            part = parts.ready(part)
            (larger,) = parts.free(len(part))
            parts.affine(part, slope, start, out=larger).clamp_(min=1)
            parts.put(torch.div(part, larger, out=larger), scale, shift, target)
        ctx.rest, ctx.training = (eps, kind), known is None
        ctx.mark_non_differentiable(bvar)
        ctx.save_for_backward(x, weight, bias, v, bvar, mean, root)
        return out, bvar

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight, bias, v, bvar, mean, root = ctx.saved_tensors
        eps, kind = ctx.rest
        if torch.is_grad_enabled():
            known = None if ctx.training else bvar

            def expression(x: Tensor, weight: Tensor, bias: Tensor, v: Tensor | None) -> Tensor:
                return max_gate(x, weight, bias, v, known, eps, kind)[0]

            return _expressed(expression, (x, weight, bias, v), grad, 3)
        parts, area = _Parts(x, 4), max(1, math.prod(x.shape[2:]))
        floor = (bvar + eps).sqrt_().view(-1, 1, 1)
        a, b = _scaled(kind, v, root, floor)
        scale = parts.row(weight) / floor
        dx = torch.empty_like(x, memory_format=parts.layout)
        rows = sum_g, sum_gu, sum_k, sum_right, sum_right_x = parts.rows(x, 5)
        for part, g, target, slope, start, of_g, of_gu, of_k, of_right, of_right_x in parts.each(
            x, grad, dx, a, b, *rows
        ):
            part, g = parts.ready(part), parts.ready(g)
            right, e, k, product = parts.free(len(part))
            _sum(g, out=of_g)
            parts.affine(part, slope, start, out=right)
            torch.clamp(right, min=1, out=k)
            torch.div(g, k, out=e)
            torch.mul(e, part, out=product)
            _sum(product, out=of_gu)
            torch.div(product, k, out=k)  # -q, but for the factors of its channel
            if ctx.training:
                _sum(k, out=of_k)
            torch.ops.aten.threshold_backward.grad_input(k, right, 1, grad_input=k)
            _sum(k, out=of_right)
            if kind != "b2":
                _sum(torch.mul(k, part, out=product), out=of_right_x)
            e.addcmul_(k, slope, value=-1)
            if e.dtype == target.dtype:
                torch.mul(e, scale, out=target)
            else:
                target.copy_(e.mul_(scale))
        factor = scale / -floor
        da = sum_right_x * factor
        db = sum_right * factor
        pull = (da + db if kind == "b1" else db).div_(area * root)
        push = pull * -mean if kind == "b0" else torch.zeros_like(mean)
        if ctx.training:
            whole = (sum_k - sum_right).sum(0).mul_(factor).div_(floor * (len(x) * area))
            pull, push = pull + whole, push - whole * mean.mean(0)
        for part, target, slope, start in parts.each(x, dx, pull, push):
            target.addcmul_(parts.ready(part), slope).add_(start)
        dweight, dbias = (sum_gu / floor).sum((0, 2, 3)), sum_g.sum((0, 2, 3))
        dv = None if v is None else da.sum((0, 2, 3))
        return dx, dweight, dbias, dv, None, None, None


def _scaled(kind: str, v: Tensor | None, root: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """a / L and b / L, each ⟨N,C,1,1⟩."""
    b = root / floor
    match kind:
        case "b0":
            assert v is not None
            return (v.to(root.dtype).view(-1, 1, 1) / floor).expand_as(b), b
        case "b1":
            return b, b
        case _:
            return (-1 / floor).expand_as(b), b


def _expressed(
    expression: Callable[..., Tensor], given: tuple[Tensor | None, ...], grad: Tensor, others: int
) -> tuple[Tensor | None, ...]:
    """The gradient by way of the expression, so that it has a gradient itself; `others` arguments are not tensors."""
    wanted = [tensor for tensor in given if tensor is not None and tensor.requires_grad]
    found = iter(torch.autograd.grad(expression(*given), wanted, grad, create_graph=True))
    grads = [next(found) if tensor is not None and tensor.requires_grad else None for tensor in given]
    return *grads, *([None] * others)
