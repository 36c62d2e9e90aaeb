"""Plain modules that have never heard of a spec."""

from .conv import Conv2d, ConvNorm, SameConv2d, SameMaxPool2d, same_padding
from .linear import Linear, LinearInit
from .residual import DropPath, Residual
from .squeeze import SqueezeExcite

__all__ = [
    "Conv2d",
    "ConvNorm",
    "DropPath",
    "Linear",
    "LinearInit",
    "Residual",
    "SameConv2d",
    "SameMaxPool2d",
    "SqueezeExcite",
    "same_padding",
]
