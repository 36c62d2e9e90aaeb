"""A normalisation whose scale and shift are told by a condition, such as a class (de Vries et al., 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Conditional"]


class Conditional(nn.Module):
    """after(core(x) (1 + gain(c)) + shift(c)): ⟨N,C,H,W⟩ and a condition of N rows -> ⟨N,C,H,W⟩.

    `core` normalises and has no scale or shift of its own; `gain` and `shift` make ⟨N,C⟩ of the condition. With both at 0
    this is the norm at scale 1 and shift 0: without the 1, a class of weights near 0 would be a map of zeros.
    """

    def __init__(self, core: nn.Module, after: nn.Module, gain: nn.Module, shift: nn.Module) -> None:
        super().__init__()
        self.core, self.after, self.gain, self.shift = core, after, gain, shift

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, shift = self.gain(condition), self.shift(condition)
        x = self.core(x)
        out: Tensor = self.after(torch.addcmul(_over(shift, x), x, 1 + _over(gain, x)))
        return out


def _over(values: Tensor, x: Tensor) -> Tensor:
    """⟨N,C⟩ -> ⟨N,C,1,1⟩ in the dtype of the map."""
    return values.to(x.dtype)[:, :, None, None]
