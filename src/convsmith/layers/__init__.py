"""Plain modules that have never heard of a spec."""

from .attention import SelfAttention2d
from .conditional import Conditional
from .conv import Conv2d, ConvNorm, SameConv2d, SameMaxPool2d, same_padding
from .evonorm import Affine2d, EvoNormB, EvoNormKind, EvoNormS
from .gains import Gained
from .ghost import Ghost
from .group import GroupNorm2d
from .growing import Appended, FirstChannels, Growing
from .lambda_ import LambdaLayer
from .linear import Linear, LinearInit
from .orthogonal import Embedding, orthogonal
from .residual import DropPath, Residual
from .scaled_ws import ScaledWSConv2d, standardised
from .spectral import Spectral, SpectralConv2d, SpectralEmbedding, SpectralLinear, power_iteration, settle
from .squeeze import SqueezeExcite
from .transposed import Doubling, UpConv2d

__all__ = [
    "Affine2d",
    "Appended",
    "Conditional",
    "Conv2d",
    "ConvNorm",
    "Doubling",
    "DropPath",
    "Embedding",
    "EvoNormB",
    "EvoNormKind",
    "EvoNormS",
    "FirstChannels",
    "Gained",
    "Ghost",
    "GroupNorm2d",
    "Growing",
    "LambdaLayer",
    "Linear",
    "LinearInit",
    "Residual",
    "SameConv2d",
    "SameMaxPool2d",
    "ScaledWSConv2d",
    "SelfAttention2d",
    "Spectral",
    "SpectralConv2d",
    "SpectralEmbedding",
    "SpectralLinear",
    "SqueezeExcite",
    "UpConv2d",
    "orthogonal",
    "power_iteration",
    "same_padding",
    "settle",
    "standardised",
]
