"""The classifier's linear layer, started as each paper's code starts it."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import nn

__all__ = ["Linear", "LinearInit"]


# What EfficientNet's released start was tried with.
PUBLISHED_CLASSES = 1000


class LinearInit(StrEnum):
    """Where a classifier's weights start.

    fan_in: U(-1/sqrt(in), 1/sqrt(in)), torch's own, which ResNets in torchvision and timm use.
    fan_out: U(-1/sqrt(out), 1/sqrt(out)), EfficientNet's released code; with fewer than 1000 classes as with 1000. With ten the
        released bound would begin training with logits that are wrong by tens, and a short run never recovers.
    normal: N(0, 0.01**2), torchvision's MobileNets.
    zero: NF-RegNet's released code.
    """

    FAN_IN = "fan_in"
    FAN_OUT = "fan_out"
    NORMAL = "normal"
    ZERO = "zero"


class Linear(nn.Linear):
    """`nn.Linear` with a named initialisation; biases start at 0 unless it is `fan_in`."""

    def __init__(self, inputs: int, outputs: int, init: LinearInit = LinearInit.FAN_IN) -> None:
        self.init = init
        super().__init__(inputs, outputs)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        if self.init is LinearInit.FAN_IN:
            super().reset_parameters()
            return
        if self.init is LinearInit.FAN_OUT:
            bound = max(self.out_features, PUBLISHED_CLASSES) ** -0.5
            self.weight.uniform_(-bound, bound)
        elif self.init is LinearInit.ZERO:
            self.weight.zero_()
        else:
            self.weight.normal_(0.0, 0.01)
        self.bias.zero_()
