"""Convolution as the papers' code initialises it, and the pair it comes in."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .clips import Framewise

__all__ = ["AvgPool2d", "Conv2d", "ConvNorm", "MaxPool2d", "SameConv2d", "SameMaxPool2d", "same_padding"]


class Conv2d(Framewise, nn.Conv2d):
    """`nn.Conv2d` with weights from N(0, 2 / fan_out) and biases at 0.

    fan_out = k * k * C_out / groups, so a depthwise 3x3 starts at a standard deviation of sqrt(2 / 9) = 0.4714. Kaiming
    initialisation as torch computes it counts all output channels and starts depthwise kernels far too small.
    Source: EfficientNet's released code (conv_kernel_initializer); He et al. (2015) for dense convolutions.
    """

    @torch.no_grad()
    def reset_parameters(self) -> None:
        kernel = self.kernel_size[0] * self.kernel_size[1]
        fan_out = kernel * self.out_channels // self.groups
        self.weight.normal_(0.0, (2.0 / fan_out) ** 0.5)
        if self.bias is not None:
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 5:
            return self.on_clips(x)
        if self.training and x.device.type == "cpu" and min(x.shape[-2:]) < max(self.kernel_size):
            return self._on_a_small_map(x)
        return super().forward(x)

    def _on_a_small_map(self, x: Tensor) -> Tensor:
        """The same sums on a map smaller than the kernel, without the taps that only ever meet padding.

        oneDNN has no quick weight gradient where a kernel overhangs the map: a depthwise 5x5 on one pixel took 37 ms
        where this takes 1 ms. In evaluation nothing changes, so counts and exported graphs keep the nominal kernel.
        """
        middle = tuple(kernel // 2 for kernel in self.kernel_size)
        if self.padding != middle or self.dilation != (1, 1) or self.padding_mode != "zeros":
            return super().forward(x)
        weight, high = reaching(self.weight, 2, x.shape[2])
        weight, wide = reaching(weight, 3, x.shape[3])
        padding = (high, wide)
        if self.groups > 1 and padding != (0, 0):
            # Padded by hand, a depthwise kernel overhangs nothing; a dense one is as quick without.
            x, padding = F.pad(x, (wide, wide, high, high)), (0, 0)
        out: Tensor = F.conv2d(x, weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return out


def reaching(weight: Tensor, axis: int, side: int) -> tuple[Tensor, int]:
    """The taps of a centred kernel that can meet one of `side` cells along an axis, and how far from the middle they reach."""
    middle = weight.shape[axis] // 2
    reach = min(middle, side - 1)
    return weight.narrow(axis, middle - reach, 2 * reach + 1), reach


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side by TensorFlow's SAME rule: it becomes ceil(side / stride), the odd zero at the end.

    >>> same_padding(224, 3, 2), same_padding(225, 3, 2)
    ((0, 1), (1, 1))
    """
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """The map with `same_padding` around it."""
    high, wide = (same_padding(side, kernel, stride) for side in x.shape[-2:])
    return F.pad(x, (*wide, *high), value=value) if any((*high, *wide)) else x


def spread(conv: nn.Conv2d | nn.Conv3d) -> int:
    """How many cells a square kernel reaches over, its gaps among them."""
    return conv.dilation[-1] * (conv.kernel_size[-1] - 1) + 1


class SameConv2d(Conv2d):
    """`Conv2d` padded by TensorFlow's SAME rule, for weights that were trained with it.

    With stride 1 and an odd kernel the rule is symmetric, and this is `Conv2d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == (1, 1) or x.ndim == 5:
            return super().forward(x)
        x = pad_same(x, spread(self), self.stride[0], 0.0)
        out: Tensor = F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return out


class AvgPool2d(Framewise, nn.AvgPool2d):
    """`nn.AvgPool2d`, of clips frame by frame."""

    def forward(self, x: Tensor) -> Tensor:
        return self.on_clips(x) if x.ndim == 5 else super().forward(x)


class MaxPool2d(Framewise, nn.MaxPool2d):
    """`nn.MaxPool2d`, of clips frame by frame."""

    def forward(self, x: Tensor) -> Tensor:
        return self.on_clips(x) if x.ndim == 5 else super().forward(x)


class SameMaxPool2d(MaxPool2d):
    """A square max-pool padded by the SAME rule; padding never wins."""

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 5:
            return self.on_clips(x)
        kernel, stride = int(self.kernel_size), int(self.stride)  # type: ignore[arg-type]
        out: Tensor = F.max_pool2d(pad_same(x, kernel, stride, float("-inf")), kernel, stride)
        return out


class ConvNorm(nn.Sequential):
    """A convolution and the normalisation (with its activation) that follows it: children `conv` and `norm`."""

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__(OrderedDict(conv=conv, norm=norm))
