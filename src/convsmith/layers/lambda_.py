"""The lambda layer (Bello, 2021): positions interact through linear maps made from their context, without attention.

With queries q, keys K, values V and relative position embeddings E, every position i applies to each of its h queries

    y_i = (sum_m softmax_m(K)_m V_m^T + sum_m E_{m-i} V_m^T)^T q_i          (equations 1 and 2)

The first sum is one matrix for the whole image, the second a cross-correlation of the values with k kernels. Queries are h
a position, keys, values and embeddings one: v = d / h, and all costs of lambdas fall by h.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .batch import BatchNorm2d
from .clips import each_frame
from .conv import Conv2d
from .lambda_schedules import position_term

__all__ = ["LambdaLayer"]


class LambdaLayer(nn.Module):
    """⟨N,C,H,W⟩ -> ⟨N,C,H,W⟩ for `channels` C, divisible by `heads`.

    `key` is the depth k of queries and keys, `intra` the depth u over which lambdas are summed. `scope` is the side r of
    the square of relative positions that have an embedding, an odd number; positions outside the image count as zeros.
    `size` binds the layer to maps of that side: a global layer is one whose scope, 2 * size - 1, covers the map from every
    position, and it has nothing to say about larger maps.

    Parameters: d (hk + ku + vu) + 2 (hk + vu) + k u r^2. Output channels run over values within heads. Batch norm stands on
    queries and values, a softmax over positions on keys; W_Q starts at N(0, 1/(kd)), W_K and W_V at N(0, 1/d), E at N(0, 1).
    """

    def __init__(
        self,
        channels: int,
        *,
        key: int = 16,
        heads: int = 4,
        intra: int = 1,
        scope: int = 23,
        size: int | None = None,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.key, self.heads, self.intra, self.size = key, heads, intra, size
        self.value = channels // heads
        # One projection: heads x key queries, then intra x key keys, then intra x value values.
        self.split = (heads * key, intra * key, intra * self.value)
        self.qkv = Conv2d(channels, sum(self.split), 1, bias=False)
        self.norm_q = BatchNorm2d(self.split[0], eps=eps, momentum=momentum)
        self.norm_v = BatchNorm2d(self.split[2], eps=eps, momentum=momentum)
        self.embedding = nn.Parameter(torch.empty(key, intra, scope, scope))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        queries, others = self.qkv.weight.split([self.split[0], self.split[1] + self.split[2]])
        channels = self.qkv.in_channels
        queries.normal_(0.0, (self.key * channels) ** -0.5)
        others.normal_(0.0, channels**-0.5)
        self.embedding.normal_()

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 5:  # each frame is a context of its own
            return each_frame(self.forward, x)
        batch, _, height, width = x.shape
        if self.size is not None and max(height, width) > self.size:
            raise ValueError(
                f"this global lambda layer has positions for maps of side {self.size}; got {height} x {width}. "
                "Build the spec at that resolution, or use a local scope"
            )
        q, k, v = self.qkv(x).split(self.split, dim=1)
        q = self.norm_q(q).view(batch, self.heads, self.key, height, width)
        v = self.norm_v(v).view(batch, self.intra, self.value, height, width)
        k = k.reshape(batch, self.intra * self.key, height * width).softmax(-1)
        content = self._content(q, k, v)
        positions = position_term(q, v, self.embedding)
        return (content + positions).view(batch, -1, height, width)

    def _content(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q applied to the image's own lambda: ⟨N,h,v,H,W⟩, in two products of matrices."""
        batch, heads, key, height, width = q.shape
        n = height * width
        # The sum over the intra depth is a sum over positions of u images in a row.
        keys = k.view(batch, self.intra, key, n).transpose(1, 2).reshape(batch, key, self.intra * n)
        values = v.reshape(batch, self.intra, self.value, n).transpose(1, 2).reshape(batch, self.value, self.intra * n)
        lambdas = torch.bmm(values, keys.transpose(1, 2))  # ⟨N,v,k⟩
        out = torch.matmul(lambdas[:, None], q.reshape(batch, heads, key, n))
        return out.view(batch, heads, self.value, height, width)

    def extra_repr(self) -> str:
        where = "global" if self.size is not None else f"scope={self.embedding.shape[-1]}"
        return f"key={self.key}, heads={self.heads}, intra={self.intra}, {where}"
