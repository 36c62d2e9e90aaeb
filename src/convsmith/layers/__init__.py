"""Plain modules that have never heard of a spec."""

from .conv import Conv2d, ConvNorm
from .linear import Linear, LinearInit
from .residual import DropPath, Residual
from .squeeze import SqueezeExcite

__all__ = ["Conv2d", "ConvNorm", "DropPath", "Linear", "LinearInit", "Residual", "SqueezeExcite"]
