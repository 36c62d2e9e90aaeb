"""Convolution as the papers' code initialises it, and the pair it comes in."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

__all__ = ["Conv2d", "ConvNorm"]


class Conv2d(nn.Conv2d):
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


class ConvNorm(nn.Sequential):
    """A convolution and the normalisation (with its activation) that follows it: children `conv` and `norm`."""

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__(OrderedDict(conv=conv, norm=norm))
