"""EvoNorm (Liu et al., 2020): six layers, found by search, that normalise and activate at once.

The core c(x) is followed by y = gamma c(x) + beta; s is the logistic sigmoid, every variance is the population's:

    B0  x / max(sqrt(bvar + eps), v x + sqrt(ivar + eps))          S0  x s(v x) / sqrt(gvar + eps)
    B1  x / max(sqrt(bvar + eps), (x + 1) sqrt(im2 + eps))         S1  x s(x) / sqrt(gvar + eps)
    B2  x / max(sqrt(bvar + eps), sqrt(im2 + eps) - x)             S2  x s(x) / sqrt(gm2 + eps)

bvar is a channel's variance over batch and space; ivar and im2 are variance and mean square of one image's channel over
space; gvar and gm2 the same over a group of channels. Nothing subtracts a mean.

Gradients are written out, so that only x and a number for each image and channel wait for the backward pass; the
arithmetic is in `evonorm_kernels`, and for a compiler in `evonorm_graph`. An exported graph holds the expression itself.
"""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor, nn

from .clips import whole_clip
from .evonorm_graph import GraphMaxGate, GraphSigmoidGate, max_gate, sigmoid_gate
from .evonorm_kernels import MaxGate, SigmoidGate

__all__ = ["Affine2d", "EvoNormB", "EvoNormKind", "EvoNormS", "evonorm"]


class EvoNormKind(StrEnum):
    """Which of the six. B: batch statistics, with a running variance; S: statistics of single images."""

    B0 = "b0"
    B1 = "b1"
    B2 = "b2"
    S0 = "s0"
    S1 = "s1"
    S2 = "s2"

    @property
    def batch(self) -> bool:
        """Whether the layer reads the variance of the batch."""
        return self.value.startswith("b")

    @property
    def learns_v(self) -> bool:
        """Whether the layer has the trainable vector v."""
        return self.value.endswith("0")


class Affine2d(nn.Module):
    """y = weight x + bias for each channel, ⟨N,C,H,W⟩ -> ⟨N,C,H,W⟩: what EvoNorm is where nothing is activated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    @whole_clip
    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return x * weight[:, None, None] + bias[:, None, None]

    def extra_repr(self) -> str:
        return str(len(self.weight))


class EvoNormS(nn.Module):
    """EvoNorm-S0, S1 or S2, ⟨N,C,H,W⟩ -> ⟨N,C,H,W⟩: the same in training and evaluation, image by image.

    `groups` must divide `channels`. `gated=False` leaves the sigmoid out and still divides: y = gamma x / std + beta.
    Statistics are in float32 at least; the result has the dtype of x. A group of one value is divided by sqrt(eps) alone,
    which multiplies it by 316 at 1e-5: keep these layers away from maps of one pixel where a group is one channel.
    Without `affine` it is the core alone, for a scale and a shift that come from elsewhere.
    """

    whole_norm = True
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        kind: EvoNormKind,
        channels: int,
        *,
        groups: int = 32,
        eps: float = 1e-5,
        gated: bool = True,
        affine: bool = True,
    ) -> None:
        super().__init__()
        if kind.batch:
            raise ValueError(f"EvoNormS is s0, s1 or s2; got {kind}")
        if groups < 1 or channels % groups:
            raise ValueError(f"{channels} channels do not split into {groups} groups")
        self.kind, self.groups, self.eps, self.gated = kind, groups, eps, gated
        give_affine(self, channels, affine)
        self.v = nn.Parameter(torch.ones(channels)) if gated and kind.learns_v else None

    @whole_clip
    def forward(self, x: Tensor) -> Tensor:
        given = (x, self.weight, self.bias, self.v, self.groups, self.eps, self.kind is not EvoNormKind.S2, self.gated)
        if _only_expressed(x):
            return sigmoid_gate(*given)
        out: Tensor = (GraphSigmoidGate if torch.compiler.is_compiling() else SigmoidGate).apply(*given)
        return out

    def extra_repr(self) -> str:
        gate = "" if self.gated else ", gated=False"
        return f"{self.kind}, {len(self.weight)}, groups={self.groups}, eps={self.eps:g}{gate}"


class EvoNormB(nn.Module):
    """EvoNorm-B0, B1 or B2, ⟨N,C,H,W⟩ -> ⟨N,C,H,W⟩.

    In training the gradient flows through the variance of the batch, which also moves `running_var`:

        running_var = (1 - momentum) running_var + momentum bvar,

    the population's variance, as the released code has it (timm: times n / (n - 1)). In evaluation `running_var` stands for
    bvar; the moments of each image are its own in both modes, so the layer never folds into a convolution. Without `affine`
    it is the core alone.
    """

    whole_norm = True
    weight: Tensor
    bias: Tensor
    running_var: Tensor

    def __init__(
        self, kind: EvoNormKind, channels: int, *, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True
    ) -> None:
        super().__init__()
        if not kind.batch:
            raise ValueError(f"EvoNormB is b0, b1 or b2; got {kind}")
        self.kind, self.eps, self.momentum = kind, eps, momentum
        give_affine(self, channels, affine)
        self.v = nn.Parameter(torch.ones(channels)) if kind.learns_v else None
        self.register_buffer("running_var", torch.ones(channels))

    @whole_clip
    def forward(self, x: Tensor) -> Tensor:
        known = None if self.training else self.running_var
        given = (x, self.weight, self.bias, self.v, known, self.eps, self.kind.value)
        if _only_expressed(x):
            out, variance = max_gate(*given)
        else:
            out, variance = (GraphMaxGate if torch.compiler.is_compiling() else MaxGate).apply(*given)
        if self.training:
            with torch.no_grad():
                self.running_var.lerp_(variance.detach().to(self.running_var.dtype), self.momentum)
        return out

    def extra_repr(self) -> str:
        return f"{self.kind}, {len(self.weight)}, eps={self.eps:g}, momentum={self.momentum:g}"


def evonorm(
    kind: EvoNormKind, channels: int, *, groups: int = 32, eps: float = 1e-5, momentum: float = 0.1
) -> EvoNormB | EvoNormS:
    """The layer of this kind. `groups` is for the S layers, `momentum` for the B layers."""
    if kind.batch:
        return EvoNormB(kind, channels, eps=eps, momentum=momentum)
    return EvoNormS(kind, channels, groups=groups, eps=eps)


def give_affine(layer: nn.Module, channels: int, affine: bool) -> None:
    """Give the layer its scale and shift: to be learnt, or 1 and 0 for good, which no file of weights holds."""
    for name, values in (("weight", torch.ones(channels)), ("bias", torch.zeros(channels))):
        if affine:
            layer.register_parameter(name, nn.Parameter(values))
        else:
            layer.register_buffer(name, values, persistent=False)


def _only_expressed(x: Tensor) -> bool:
    """Whether the expression is what is wanted: a graph to keep (export, jit), or no values at all (meta)."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined]
    return tracing or torch.compiler.is_exporting() or x.is_meta
