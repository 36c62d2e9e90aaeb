"""The ordinary convolution with symmetric zero padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ...arch import Conv
from ...layers import Conv2d

__all__ = ["PlainConv"]


@final
@dataclass(frozen=True)
class PlainConv(Conv):
    """A convolution padded by k // 2 on every side, as torch's networks have it."""

    kind: ClassVar[str] = "conv"

    def build(
        self, c_in: int, c_out: int, kernel: int, *, stride: int = 1, groups: int = 1, bias: bool = False
    ) -> nn.Module:
        return Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=bias)
