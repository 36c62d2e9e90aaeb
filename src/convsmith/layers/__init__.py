"""Plain modules that have never heard of a spec."""

from .conv import Conv2d, ConvNorm, SameConv2d, SameMaxPool2d, same_padding
from .evonorm import Affine2d, EvoNormB, EvoNormKind, EvoNormS
from .fingerprint import Fingerprint, fingerprint
from .gains import Gained
from .ghost import Ghost
from .graph import GraphNorm2d
from .group import GroupNorm2d
from .lambda_ import LambdaLayer
from .linear import Linear, LinearInit
from .residual import DropPath, Residual
from .running import RunningStatistics, running
from .scaled_ws import ScaledWSConv2d, standardised
from .squeeze import SqueezeExcite
from .transposed import Doubling, UpConv2d

__all__ = [
    "Affine2d",
    "Conv2d",
    "ConvNorm",
    "Doubling",
    "DropPath",
    "EvoNormB",
    "EvoNormKind",
    "EvoNormS",
    "Fingerprint",
    "Gained",
    "Ghost",
    "GraphNorm2d",
    "GroupNorm2d",
    "LambdaLayer",
    "Linear",
    "LinearInit",
    "Residual",
    "RunningStatistics",
    "SameConv2d",
    "SameMaxPool2d",
    "ScaledWSConv2d",
    "SqueezeExcite",
    "UpConv2d",
    "fingerprint",
    "running",
    "same_padding",
    "standardised",
]
