"""Spectral normalisation (Miyato et al., 2018): every weight is divided by an estimate of its largest singular value."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .conv import Conv2d, SameConv2d, pad_same, spread
from .orthogonal import Embedding, orthogonal

__all__ = ["Spectral", "SpectralConv2d", "SpectralEmbedding", "SpectralLinear", "power_iteration", "settle"]

_CONVERGED = 50  # iterations more


def power_iteration(rows: Tensor, u: Tensor, eps: float = 1e-12) -> tuple[Tensor, Tensor]:
    """One iteration from `u` ⟨O⟩ for the matrix `rows` ⟨O,I⟩: the estimate of its largest singular value, and the next u.

        v = W'u / |W'u|,   u' = Wv / |Wv|,   sigma = u' . Wv

    The estimate never exceeds the true value. Its gradient is taken through W alone: d sigma / dW = u' v'.
    Source: Brock et al. (2019), the first author's release.
    """
    with torch.no_grad():
        v = F.normalize(torch.mv(rows.t(), u), dim=0, eps=eps)
    image = torch.mv(rows, v)
    with torch.no_grad():
        after = F.normalize(image, dim=0, eps=eps)
    return torch.dot(after, image), after


class Spectral(nn.Module):
    """A layer that uses W / sigma, sigma by one `power_iteration` a forward pass from the stored `u`.

    W is read as a matrix (outputs, all else), which bounds the matrix and not the convolution as an operator. In training the
    new u is stored. In evaluation it is not: what comes out depends on W and u alone, and is the same twice.
    """

    weight: Tensor
    u: Tensor
    eps: float

    def begin(self, eps: float) -> None:
        """Give the layer its u, from N(0, 1)."""
        self.eps = eps
        self.register_buffer("u", torch.empty(len(self.weight)).normal_())

    def normed(self) -> Tensor:
        """W / sigma."""
        if self.weight.is_meta:
            return self.weight  # a shape has no singular values
        with torch.autocast(self.weight.device.type, enabled=False):
            rows = self.weight.flatten(1)
            sigma, after = power_iteration(rows, self.u.to(rows.dtype), self.eps)
            if self.training:
                with torch.no_grad():
                    self.u.copy_(after)
            return self.weight / sigma

    def sigma(self, iterations: int = 1) -> Tensor:
        """The estimate of the largest singular value after so many iterations from the stored u, which stays as it is."""
        return self._after(iterations)[0]

    @torch.no_grad()
    def _after(self, iterations: int) -> tuple[Tensor, Tensor]:
        rows, u = self.weight.flatten(1), self.u.to(self.weight.dtype)
        sigma = rows.new_zeros(())
        for _ in range(iterations):
            sigma, u = power_iteration(rows, u, self.eps)
        return sigma, u

    def plain(self) -> nn.Module:
        """The layer without the division, holding W / sigma with a sigma that has converged: for export."""
        raise NotImplementedError

    def _settled(self) -> dict[str, Any]:
        """The state of that layer."""
        state: dict[str, Any] = copy.copy(self.state_dict())
        del state["u"]
        return state | {"weight": self.weight.detach() / self.sigma(_CONVERGED)}


@torch.no_grad()
def settle(model: nn.Module, iterations: int = _CONVERGED) -> None:
    """Let every u of `model` converge, for weights that will change no more: an average of u is no unit vector and lags behind."""
    for module in model.modules():
        if isinstance(module, Spectral):
            module.u.copy_(module._after(iterations)[1])


class SpectralConv2d(Spectral, nn.Conv2d):
    """A convolution with spectral normalisation; orthogonal at the start, its bias 0."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
        eps: float = 1e-12,
        same: bool = False,
        circular: bool = False,
    ) -> None:
        super().__init__(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode="circular" if circular else "zeros",
        )
        self.same = same
        self.begin(eps)

    def reset_parameters(self) -> None:
        orthogonal(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.same and self.stride != (1, 1):
            x = pad_same(x, spread(self), self.stride[0])
            return F.conv2d(x, self.normed(), self.bias, self.stride, 0, self.dilation, self.groups)
        return self._conv_forward(x, self.normed(), self.bias)

    def plain(self) -> Conv2d:
        conv = (SameConv2d if self.same else Conv2d)(
            self.in_channels,
            self.out_channels,
            self.kernel_size[0],
            stride=self.stride[0],
            padding=self.padding,  # type: ignore[arg-type]
            dilation=self.dilation[0],
            groups=self.groups,
            bias=self.bias is not None,
            padding_mode=self.padding_mode,
        )
        conv.to(self.weight).load_state_dict(self._settled())
        return conv.train(self.training)


class SpectralLinear(Spectral, nn.Linear):
    """A linear layer with spectral normalisation; orthogonal at the start, its bias 0."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, eps: float = 1e-12) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.begin(eps)

    def reset_parameters(self) -> None:
        orthogonal(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.normed(), self.bias)

    def plain(self) -> nn.Linear:
        linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None)
        linear.to(self.weight).load_state_dict(self._settled())
        return linear.train(self.training)


class SpectralEmbedding(Spectral, Embedding):
    """A vector for each class, the table of which has spectral normalisation; orthogonal at the start."""

    def __init__(self, classes: int, width: int, *, eps: float = 1e-12) -> None:
        super().__init__(classes, width)
        self.begin(eps)

    def forward(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.normed())

    def plain(self) -> Embedding:
        table = Embedding(self.num_embeddings, self.embedding_dim)
        table.to(self.weight).load_state_dict(self._settled())
        return table.train(self.training)
