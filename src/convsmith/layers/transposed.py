"""The convolutions that double a map."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Doubling", "UpConv2d"]


class Doubling(nn.ConvTranspose2d):
    """A 3x3 transposed convolution with stride 2 and a bias: ⟨N,C_in,h,w⟩ -> ⟨N,C_out,2h,2w⟩.

        out[2 i - 1 + k] += W[k] in[i],  k = 0, 1, 2 on either axis

    With a padding of 1 and an output padding of 1 there are exactly two cells out for one in, and the cells 2 i and 2 i + 1
    lie within input cell i; without padding there would be 2 n + 1, half a cell off (DeepLabCut 3). Weights start at
    N(0, 2 / (9 / 4 C_in)), since an output meets nine quarters of the nine taps on average, times a tenth: what it puts out
    begins near 0, where a sigmoid is undecided. That is ours; biases start at 0.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2, padding=1, output_padding=1)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.weight.normal_(0.0, 0.1 * (2.0 / (2.25 * self.in_channels)) ** 0.5)
        if self.bias is not None:
            self.bias.zero_()


class UpConv2d(nn.ConvTranspose2d):
    """A 2x2 transposed convolution with stride 2 and a bias, ⟨N,C_in,h,w⟩ -> ⟨N,C_out,2h,2w⟩: each cell becomes four, and no two
    cells meet. Weights start at N(0, 2 / (4 C_out)), biases at 0: He's fan-out, as Mask R-CNN's code has it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 2, stride=2)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.weight.normal_(0.0, (2.0 / (4 * self.out_channels)) ** 0.5)
        if self.bias is not None:
            self.bias.zero_()
