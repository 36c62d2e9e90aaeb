"""The position term of a lambda layer, in three orders of the same sums.

    y[b,h,v,i] = sum_k q[b,h,k,i] sum_{u,m} E[k,u,m-i] V[b,u,v,m]

over positions m within the scope of i, zero outside the image. Summed over m first (`by_convolution`) it is a convolution
with one input channel, the paper's lambda convolution: simple, r^2 k v multiply-adds a position, and slow to differentiate
on CPUs. Summed over k first it is attention without a softmax: A = q E, then A V, which are large products of matrices,
h (k + v) multiply-adds for each pair of positions. `by_rows` does that for all pairs, a row of queries at a time;
`by_tiles` for square tiles of queries and the window that their scopes reach, so that both its arithmetic and its memory
grow with the number of positions and not with its square.

Nothing of A is kept for the backward pass: it is made again. All agree to rounding; costs are always counted on the first,
whose count is the definition's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

__all__ = ["by_convolution", "by_rows", "by_tiles", "position_term"]

# Tiles are handled so many at a time that A stays within this many numbers: 16 MiB in float32, about a last-level cache. A
# GPU is idle between small products: eight times as many took half the time there at scope 23; more take memory for little.
_CHUNK, _CHUNK_ELSEWHERE = 1 << 22, 1 << 25


def position_term(q: Tensor, v: Tensor, embedding: Tensor) -> Tensor:
    """⟨N,h,k,H,W⟩, ⟨N,u,v,H,W⟩, ⟨k,u,r,r⟩ -> ⟨N,h,v,H,W⟩ by the schedule that suits these shapes."""
    # Whoever watches single operations, to count or to trace them, sees the definition.
    watched = is_in_torch_dispatch_mode() or torch.onnx.is_in_onnx_export()
    if q.is_meta or watched or torch.compiler.is_compiling() or torch.compiler.is_exporting():
        return by_convolution(q, v, embedding)
    height, width = q.shape[-2:]
    reach = embedding.shape[-1] // 2
    tile = _tile(height, width, reach)
    # Multiply-adds of A and A V are the pairs of positions that each schedule visits.
    tiled = _ceil(height, tile) * _ceil(width, tile) * (tile * (tile + 2 * reach)) ** 2
    return by_rows(q, v, embedding) if (height * width) ** 2 <= tiled else by_tiles(q, v, embedding, tile=tile)


def by_convolution(q: Tensor, v: Tensor, embedding: Tensor) -> Tensor:
    """Over positions first: k kernels slide over every value channel. The lambdas ⟨N,v,k,H,W⟩ are held."""
    batch, _, key, height, width = q.shape
    intra, value = v.shape[1:3]
    maps = v.transpose(1, 2).reshape(batch * value, intra, height, width)
    lambdas = F.conv2d(maps, embedding.to(v.dtype), padding=embedding.shape[-1] // 2)
    lambdas = lambdas.view(batch, value, key, height, width)
    return torch.einsum("bhkij,bvkij->bhvij", q, lambdas)


def by_rows(q: Tensor, v: Tensor, embedding: Tensor) -> Tensor:
    """Over keys first, all pairs of positions, a row of queries at a time: N h H W^2 numbers are held at once."""
    batch, heads, key, height, width = q.shape
    intra, value = v.shape[1:3]
    table = _resized(embedding.to(q.dtype), height, width)
    queries = q.permute(3, 4, 1, 0, 2).flip(1).reshape(height, width, heads * batch, key)
    values = v.permute(0, 1, 3, 4, 2).reshape(batch, intra * height * width, value)
    out: Tensor = _Rows.apply(queries, table, values, heads)  # ⟨H, N, W h, v⟩
    out = out.view(height, batch, width, heads, value).flip(2)
    return out.permute(1, 3, 4, 0, 2)


def by_tiles(q: Tensor, v: Tensor, embedding: Tensor, *, tile: int = 8) -> Tensor:
    """Over keys first, in square tiles of queries: a bounded part of A is held, whatever the map's size."""
    batch, heads, key, height, width = q.shape
    intra, value = v.shape[1:3]
    reach = embedding.shape[-1] // 2
    down, across = _ceil(height, tile), _ceil(width, tile)
    below, right = down * tile - height, across * tile - width
    tiles, window = batch * down * across, tile + 2 * reach
    queries = F.pad(q, (0, right, 0, below)).view(batch, heads, key, down, tile, across, tile)
    # Both tile axes are reversed: then a window's offset within the table is the sum of two indices.
    queries = queries.permute(4, 6, 1, 0, 3, 5, 2).flip(0, 1).reshape(tile, tile, heads, tiles, key)
    values = F.pad(v, (reach, reach + right, reach, reach + below))
    values = values.unfold(3, window, tile).unfold(4, window, tile)  # ⟨N,u,v,down,across,window,window⟩
    values = values.permute(0, 3, 4, 1, 5, 6, 2).reshape(tiles, intra * window * window, value)
    table = F.pad(embedding.to(q.dtype), (tile - 1,) * 4)
    out: Tensor = _Tiles.apply(queries, table, values)  # ⟨tiles, t, t, h, v⟩
    out = out.flip(1, 2).view(batch, down, across, tile, tile, heads, value)
    out = out.permute(0, 5, 6, 1, 3, 2, 4).reshape(batch, heads, value, down * tile, across * tile)
    return out[..., :height, :width]


def _tile(height: int, width: int, reach: int) -> int:
    """The side of a tile that visits the fewest pairs of positions; small tiles make small, slow products."""
    return min(
        range(4, 17), key=lambda t: _ceil(height, t) * _ceil(width, t) * (t * (t + 2 * reach)) ** 2 * (1 + 4 / t)
    )


def _ceil(length: int, step: int) -> int:
    return -(-length // step)


def _resized(embedding: Tensor, height: int, width: int) -> Tensor:
    """The table of all displacements on this map, ⟨k,u,2H-1,2W-1⟩: cut, or zeros beyond the scope."""
    reach = embedding.shape[-1] // 2
    wide, high = width - 1 - reach, height - 1 - reach
    return F.pad(embedding, (wide, wide, high, high))


# ---- products, and their derivatives ----
#
# For reversed tile positions a and window positions b the embedding of the pair is table[a + b], so that all of them are
# one strided view of the table (`_unrolled`), and its gradient a sum over diagonals (`_rolled`).


def _unrolled(table: Tensor, window: tuple[int, int]) -> Tensor:
    """⟨k,u,wh+t-1,ww+s-1⟩ -> ⟨t s, k, u wh ww⟩."""
    key, intra = table.shape[:2]
    pairs = table.unfold(2, window[0], 1).unfold(3, window[1], 1).permute(2, 3, 0, 1, 4, 5)
    return pairs.reshape(-1, key, intra * window[0] * window[1])


def _rolled(pairs: Tensor, tile: tuple[int, int], intra: int, window: tuple[int, int]) -> Tensor:
    """The transpose of `_unrolled`: ⟨t s, k, u wh ww⟩ -> ⟨k,u,wh+t-1,ww+s-1⟩, summed over a + b."""
    key = pairs.shape[1]
    pairs = pairs.view(*tile, key, intra, *window)
    pairs = _diagonals(pairs.permute(0, 2, 3, 4, 1, 5))  # ⟨t,k,u,wh,ww+s-1⟩
    return _diagonals(pairs.permute(1, 2, 4, 0, 3)).transpose(2, 3)


def _diagonals(pairs: Tensor) -> Tensor:
    """out[..., c] = sum of pairs[..., a, b] over a + b = c: rows padded to one more than the sum's length and read in
    steps of that length lean over by one each."""
    a, b = pairs.shape[-2:]
    if a == 1:
        return pairs.squeeze(-2)
    padded = F.pad(pairs, (0, a)).flatten(-2)[..., : a * (a + b - 1)]
    return padded.unflatten(-1, (a, a + b - 1)).sum(-2)


def _apply(queries: Tensor, pairs: Tensor, values: Tensor) -> Tensor:
    """⟨p, h B, k⟩, ⟨p, k, m⟩, ⟨B, m, v⟩ -> ⟨B, p h, v⟩ for p queries of B tiles."""
    places, many, _ = queries.shape
    tiles = len(values)
    weights = torch.bmm(queries, pairs).view(places * (many // tiles), tiles, -1)
    return torch.bmm(weights.transpose(0, 1), values)


def _apply_backward(queries: Tensor, pairs: Tensor, values: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    places, many, _ = queries.shape
    tiles = len(values)
    heads = many // tiles
    weights = torch.bmm(queries, pairs).view(places * heads, tiles, -1)
    grad_values = torch.bmm(weights.permute(1, 2, 0), grad)
    # Written into the memory of A, which is not needed again, in A's order.
    grad_weights = torch.bmm(grad, values.transpose(1, 2))
    weights.copy_(grad_weights.transpose(0, 1))
    grad_weights = weights.view(places, many, -1)
    grad_queries = torch.bmm(grad_weights, pairs.transpose(1, 2))
    grad_pairs = torch.bmm(queries.transpose(1, 2), grad_weights)
    return grad_queries, grad_pairs, grad_values


class _Rows(torch.autograd.Function):
    """Queries ⟨H,W,hB,k⟩ against the whole map, values ⟨B,u H W,v⟩, table ⟨k,u,2H-1,2W-1⟩ -> ⟨H,B,W h,v⟩."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, table: Tensor, values: Tensor, heads: int) -> Tensor:
        ctx.save_for_backward(queries, table, values)
        high, wide = queries.shape[:2]
        out = values.new_empty(high, len(values), wide * heads, values.shape[2])
        for row in range(high):
            pairs = _unrolled(table[:, :, high - 1 - row : 2 * high - 1 - row], (high, wide))
            out[row] = _apply(queries[row], pairs, values)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        queries, table, values = ctx.saved_tensors
        high, wide = queries.shape[:2]
        grad_queries, grad_table, grad_values = (torch.zeros_like(t) for t in (queries, table, values))
        for row in range(high):
            rows = slice(high - 1 - row, 2 * high - 1 - row)
            pairs = _unrolled(table[:, :, rows], (high, wide))
            grad_queries[row], grad_pairs, more = _apply_backward(queries[row], pairs, values, grad[row])
            grad_values += more
            grad_table[:, :, rows] += _rolled(grad_pairs, (1, wide), table.shape[1], (high, wide))
        return grad_queries, grad_table, grad_values, None


class _Tiles(torch.autograd.Function):
    """Queries ⟨t,t,h,B,k⟩ of B tiles, table ⟨k,u,w+t-1,w+t-1⟩, windows ⟨B,u w w,v⟩ -> ⟨B,t,t,h,v⟩."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, table: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(queries, table, values)
        tile, _, heads, tiles, key = queries.shape
        pairs = _unrolled(table, (table.shape[2] - tile + 1,) * 2)
        out = values.new_empty(tiles, tile * tile * heads, values.shape[2])
        for chunk in _chunks(queries, values):
            some = queries[:, :, :, chunk].reshape(tile * tile, -1, key)
            out[chunk] = _apply(some, pairs, values[chunk])
        return out.view(tiles, tile, tile, heads, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        queries, table, values = ctx.saved_tensors
        tile, _, heads, tiles, key = queries.shape
        window = (table.shape[2] - tile + 1,) * 2
        pairs = _unrolled(table, window)
        grad = grad.reshape(tiles, tile * tile * heads, -1)
        grad_queries, grad_values = torch.empty_like(queries), torch.empty_like(values)
        grad_pairs = torch.zeros_like(pairs)
        for chunk in _chunks(queries, values):
            some = queries[:, :, :, chunk]
            flat = some.reshape(tile * tile, -1, key)
            back, more, grad_values[chunk] = _apply_backward(flat, pairs, values[chunk], grad[chunk])
            grad_queries[:, :, :, chunk] = back.view(some.shape)
            grad_pairs += more
        return grad_queries, _rolled(grad_pairs, (tile, tile), table.shape[1], window), grad_values


def _chunks(queries: Tensor, values: Tensor) -> list[slice]:
    tile, _, heads, tiles, _ = queries.shape
    most = _CHUNK if queries.device.type == "cpu" else _CHUNK_ELSEWHERE
    step = max(1, most // (tile * tile * heads * values.shape[1]))
    return [slice(start, start + step) for start in range(0, tiles, step)]
