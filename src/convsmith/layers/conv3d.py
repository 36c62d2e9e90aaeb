"""Convolutions over time: those that read several frames of a clip at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial, reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..arch import Edges
from .clips import channels_last, each_frame
from .conv import pad_same, reaching, spread

__all__ = ["Conv3d"]


class Conv3d(nn.Conv3d):
    """A convolution over `temporal` frames and k x k cells, ⟨N,C,T,H,W⟩ -> ⟨N,O,ceil(T/over),ceil(H/stride),ceil(W/stride)⟩.

    Weights start as `Conv2d`'s, from N(0, 2 / fan_out) with fan_out = temporal * k * k * O / groups. Padding around each frame
    is `Conv2d`'s, or with `same` and `circular` those; what stands before the first frame and behind the last is what
    `edges` says.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        temporal: int,
        stride: int = 1,
        over: int = 1,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
        same: bool = False,
        circular: bool = False,
        edges: Edges = Edges.ZEROS,
    ) -> None:
        reach, around = temporal // 2, dilation * (kernel // 2)
        super().__init__(
            inputs,
            outputs,
            (temporal, kernel, kernel),
            stride=(over, stride, stride),
            padding=(reach, around, around),
            dilation=(1, dilation, dilation),
            groups=groups,
            bias=bias,
        )
        self.same, self.circular, self.edges = same, circular, edges
        self.reach, self.around = reach, around

    @torch.no_grad()
    def reset_parameters(self) -> None:
        fan_out = self.weight[0, 0].numel() * self.out_channels // self.groups
        self.weight.normal_(0.0, (2.0 / fan_out) ** 0.5)
        if self.bias is not None:
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.convolved(x, self.weight, self.bias)

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution by `weight` ⟨O,C/groups,temporal,k,k⟩, whichever way is quickest."""
        time, around = self.reach, self.around
        exporting = torch.compiler.is_exporting()
        if not exporting:
            x = channels_last(x)
        if exporting and time and self.groups > 1:
            return self._by_taps(x, weight, bias)
        if self.edges is Edges.REPEATED:
            x, time = self._lengthened(x), 0
        elif self.training:
            # What only ever meets padding is nothing to multiply; its gradient is 0.
            weight, time = reaching(weight, 2, x.shape[2])
        rows = columns = around
        uneven = self.same and self.stride[1:] != (1, 1)
        if self.training and not (uneven or self.circular) and self.dilation[1] == 1:
            weight, rows = reaching(weight, 3, x.shape[3])
            weight, columns = reaching(weight, 4, x.shape[4])
        if weight.shape[3:] == (1, 1) and (self.stride[1:] == (1, 1) or x.shape[3:] == (1, 1)):
            # Each frame's cells in one row: 2-d kernels are quicker, and nothing moves.
            tall = F.conv2d(x.flatten(3), weight[..., 0], bias, (self.stride[0], 1), (time, 0), groups=self.groups)
            return tall.unflatten(3, x.shape[3:])
        if uneven:
            x, rows, columns = pad_same(x, spread(self), self.stride[1]), 0, 0
        elif self.circular and around:
            x, rows, columns = F.pad(x, (around,) * 4 + (0, 0), mode="circular"), 0, 0
        return F.conv3d(x, weight, bias, self.stride, (time, rows, columns), self.dilation, self.groups)

    def _lengthened(self, x: Tensor) -> Tensor:
        """The clip with what stands before and behind it."""
        first, last = x[:, :, :1], x[:, :, -1:]
        if self.edges is Edges.ZEROS:
            first = last = torch.zeros_like(first)
        return torch.cat((*[first] * self.reach, x, *[last] * self.reach), dim=2)

    def _by_taps(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The same as a sum over frames of 2-d convolutions: onnxruntime's of three dimensions takes groups one by one, which
        made a depthwise 3x3x3 eighteen times as slow."""
        long = self._lengthened(x)
        frames, over = -(-x.shape[2] // self.stride[0]), self.stride[0]
        stride, dilation = self.stride[1:], self.dilation[1:]

        def tap(at: int, parts: Tensor) -> Tensor:
            around = self.around
            if self.same and stride != (1, 1):
                parts, around = pad_same(parts, spread(self), stride[0]), 0
            elif self.circular and around:
                parts, around = F.pad(parts, (around,) * 4, mode="circular"), 0
            return F.conv2d(parts, weight[:, :, at], bias if at == 0 else None, stride, around, dilation, self.groups)

        taps = [
            each_frame(partial(tap, at), long[:, :, at : at + (frames - 1) * over + 1 : over])
            for at in range(self.kernel_size[0])
        ]
        return reduce(torch.add, taps)

    def of_pictures(self, held: Mapping[str, Tensor], *, mean: bool) -> dict[str, Tensor]:
        """The tensors of this layer that do to a still clip what those `held` by the layer for pictures do to a picture: their
        weights for its middle frame and zeros for the others, or with `mean` a share for each. By name, what changes.

        With `mean` it holds where the clip's edges are repeated, and away from them otherwise.
        """
        frames, weight = self.kernel_size[0], held["weight"]
        return {"weight": _everywhere(weight / frames, frames) if mean else _middle(weight, frames)}

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.edges is Edges.ZEROS else f", edges={self.edges}")


def _middle(weight: Tensor, frames: int) -> Tensor:
    """⟨O,I,k,k⟩ -> ⟨O,I,frames,k,k⟩: the weight in the middle, zeros around."""
    wide = weight.new_zeros((*weight.shape[:2], frames, *weight.shape[2:]))
    wide[:, :, frames // 2] = weight
    return wide


def _everywhere(weight: Tensor, frames: int) -> Tensor:
    return weight[:, :, None].expand(-1, -1, frames, -1, -1).clone()
