"""Convolutions with spectral normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ...arch import Conv, Padding
from ...errors import UserError
from ...layers import SpectralConv2d, SpectralEmbedding, SpectralLinear
from ...ranges import above

__all__ = ["SpectralConv"]


@final
@dataclass(frozen=True)
class SpectralConv(Conv):
    """Every weight divided by an estimate of its largest singular value (Miyato et al., 2018): of convolutions, linear layers and
    tables of classes. `layers.spectral` has the iteration; vectors shorter than `eps` are divided by it instead."""

    kind: ClassVar[str] = "spectral_conv"
    eps: float = 1e-12

    def __post_init__(self) -> None:
        super().__post_init__()
        above("spectral_conv.eps", self.eps, 0, 1)

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
        if temporal > 1 or over > 1:
            raise UserError(
                "spectrally normalised convolutions read pictures only, and no several frames of a clip at once"
            )
        return SpectralConv2d(
            c_in,
            c_out,
            kernel,
            stride=stride,
            groups=groups,
            dilation=dilation,
            bias=bias,
            eps=self.eps,
            same=self.padding is Padding.SAME,
            circular=self.padding is Padding.CIRCULAR,
        )

    def linear(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
        return SpectralLinear(inputs, outputs, bias=bias, eps=self.eps)

    def embedding(self, classes: int, width: int) -> nn.Module:
        return SpectralEmbedding(classes, width, eps=self.eps)

    def describe(self) -> str:
        return "spectrally normalised conv"
