"""The ordinary convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from torch import nn

from ...arch import Conv, Padding
from ...layers import Conv2d, Conv3d, SameConv2d

__all__ = ["PlainConv"]


@final
@dataclass(frozen=True)
class PlainConv(Conv):
    """A convolution with free weights, padded as the style says."""

    kind: ClassVar[str] = "conv"

    def build(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        dilation: int = 1,
        temporal: int = 1,
        over: int = 1,
    ) -> nn.Module:
        if temporal > 1:
            return Conv3d(
                c_in,
                c_out,
                kernel,
                temporal=temporal,
                stride=stride,
                over=over,
                groups=groups,
                dilation=dilation,
                bias=bias,
                same=self.padding is Padding.SAME,
                circular=self.padding is Padding.CIRCULAR,
                edges=self.edges,
            )
        kind = SameConv2d if self.padding is Padding.SAME else Conv2d
        mode: Literal["circular", "zeros"] = "circular" if self.padding is Padding.CIRCULAR else "zeros"
        conv = kind(
            c_in,
            c_out,
            kernel,
            stride=stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=mode,
        )
        conv.over = over
        return conv

    def describe(self) -> str:
        return "conv" if self.padding is Padding.SYMMETRIC else f"conv, {self.padding} padding"
