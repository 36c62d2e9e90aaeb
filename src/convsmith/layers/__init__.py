"""Plain modules that have never heard of a spec."""

from .attention import SelfAttention2d
from .batch import BatchNorm2d
from .clips import channels_last
from .conditional import Conditional
from .conv import AvgPool2d, Conv2d, ConvNorm, MaxPool2d, SameConv2d, SameMaxPool2d, same_padding
from .conv3d import Conv3d
from .evonorm import Affine2d, EvoNormB, EvoNormKind, EvoNormS
from .fingerprint import Fingerprint, fingerprint
from .gains import Gained
from .ghost import Ghost
from .graph import GraphNorm2d
from .group import GroupNorm2d
from .growing import Appended, FirstChannels, Growing
from .lambda_ import LambdaLayer
from .linear import Linear, LinearInit
from .orthogonal import Embedding, orthogonal
from .residual import DropPath, Residual
from .running import RunningStatistics, running
from .scaled_ws import ScaledWSConv2d, ScaledWSConv3d, Standardised, standardised
from .spectral import Spectral, SpectralConv2d, SpectralEmbedding, SpectralLinear, power_iteration, settle
from .squeeze import SelfGate, SqueezeExcite
from .transposed import Doubling, UpConv2d

__all__ = [
    "Affine2d",
    "Appended",
    "AvgPool2d",
    "BatchNorm2d",
    "Conditional",
    "Conv2d",
    "Conv3d",
    "ConvNorm",
    "Doubling",
    "DropPath",
    "Embedding",
    "EvoNormB",
    "EvoNormKind",
    "EvoNormS",
    "Fingerprint",
    "FirstChannels",
    "Gained",
    "Ghost",
    "GraphNorm2d",
    "GroupNorm2d",
    "Growing",
    "LambdaLayer",
    "Linear",
    "LinearInit",
    "MaxPool2d",
    "Residual",
    "RunningStatistics",
    "SameConv2d",
    "SameMaxPool2d",
    "ScaledWSConv2d",
    "ScaledWSConv3d",
    "SelfAttention2d",
    "SelfGate",
    "Spectral",
    "SpectralConv2d",
    "SpectralEmbedding",
    "SpectralLinear",
    "SqueezeExcite",
    "Standardised",
    "UpConv2d",
    "channels_last",
    "fingerprint",
    "orthogonal",
    "power_iteration",
    "running",
    "same_padding",
    "settle",
    "standardised",
]
