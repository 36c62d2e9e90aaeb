"""What an activation does to the variance of a standard normal signal, undone."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Gained"]


class Gained(nn.Module):
    """gain * act(x): a fixed factor after an activation."""

    def __init__(self, act: nn.Module, gain: float) -> None:
        super().__init__()
        self.act = act
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(x)
        return out if self.gain == 1 else out * self.gain

    def extra_repr(self) -> str:
        return f"gain={self.gain:.6g}"
