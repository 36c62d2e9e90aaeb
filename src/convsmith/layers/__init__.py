"""Plain modules that have never heard of a spec."""

from .conv import Conv2d, ConvNorm, SameConv2d, SameMaxPool2d, same_padding
from .evonorm import Affine2d, EvoNormB, EvoNormKind, EvoNormS
from .ghost import Ghost
from .lambda_ import LambdaLayer
from .linear import Linear, LinearInit
from .residual import DropPath, Residual
from .squeeze import SqueezeExcite

__all__ = [
    "Affine2d",
    "Conv2d",
    "ConvNorm",
    "DropPath",
    "EvoNormB",
    "EvoNormKind",
    "EvoNormS",
    "Ghost",
    "LambdaLayer",
    "Linear",
    "LinearInit",
    "Residual",
    "SameConv2d",
    "SameMaxPool2d",
    "SqueezeExcite",
    "same_padding",
]
