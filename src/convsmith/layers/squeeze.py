"""Squeeze-and-excitation (Hu et al., 2018), and the gate without a squeeze."""

from __future__ import annotations

from torch import Tensor, nn

from .clips import whole_clip
from .conv import Conv2d

__all__ = ["SelfGate", "SqueezeExcite"]


class SqueezeExcite(nn.Module):
    """x * gain * gate(expand(act(reduce(mean over space and time of x)))), with biases: ⟨N,C,H,W⟩ -> ⟨N,C,H,W⟩.

    `reduced` is the squeezed width. EfficientNet takes it from the block's *input* width, not from the expanded one.
    """

    def __init__(self, channels: int, reduced: int, *, act: nn.Module, gate: nn.Module, gain: float = 1.0) -> None:
        super().__init__()
        self.reduce = Conv2d(channels, reduced, 1)
        self.act = act
        self.expand = Conv2d(reduced, channels, 1)
        self.gate = gate
        self.gain = gain

    @whole_clip
    def forward(self, x: Tensor) -> Tensor:
        squeezed = x.mean((2, 3), keepdim=True)
        gate = self.gate(self.expand(self.act(self.reduce(squeezed))))
        return x * (gate if self.gain == 1 else gate * self.gain)


class SelfGate(nn.Module):
    """x * sigmoid(conv(mean over space and time of x)), the 1x1 convolution with a bias: ⟨N,C,...⟩ -> ⟨N,C,...⟩.

    Source: S3D-G's gate (Xie et al., 2018), as Model Garden's 3-D ResNets have it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, 1)

    @whole_clip
    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv(x.mean((2, 3), keepdim=True)).sigmoid()
