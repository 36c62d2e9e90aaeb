"""Scaled weight standardisation (Brock et al., 2021): each filter has mean 0 and the variance that signals need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..arch import Edges
from .clips import Framewise
from .conv import Conv2d, SameConv2d, pad_same, spread
from .conv3d import Conv3d

__all__ = ["ScaledWSConv2d", "ScaledWSConv3d", "Standardised", "standardised"]

_TINY = 1e-30  # keeps a constant filter from dividing by zero before it is found out


class Standardised(nn.Module):
    """What the convolutions of pictures and of clips have in common."""

    weight: Tensor
    bias: Tensor | None
    scale: float
    eps: float
    floor: bool
    _kept: tuple[Tensor, Tensor, object, Tensor] | None

    def _begin(self, scale: float, eps: float, floor: bool) -> None:
        self.scale, self.eps, self.floor = scale, eps, floor
        self.gain = nn.Parameter(torch.ones(len(self.weight), *(1,) * (self.weight.ndim - 1)))
        self._kept = None

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.weight.normal_(0.0, self.weight[0].numel() ** -0.5)
        if self.bias is not None:
            self.bias.zero_()

    def _used(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The filters and the bias that x meets."""
        weight, bias = self._weight(), self.bias
        if weight.dtype is not x.dtype:  # in autocast
            weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
        return weight, bias

    def _weight(self) -> Tensor:
        if torch.compiler.is_compiling():
            return self._standardised()
        weight, gain = self.weight, self.gain
        unversioned = weight.is_meta or weight.is_inference() or gain.is_inference()
        if self.training or torch.is_grad_enabled() or unversioned:
            self._kept = None  # a step may follow, and fused optimisers leave no trace in a version
            return self._standardised()
        state = (weight._version, gain._version, weight.data_ptr(), gain.data_ptr(), weight.shape, self.scale)
        kept = self._kept
        if kept is None or kept[0] is not weight or kept[1] is not gain or kept[2] != state:
            self._kept = kept = (weight, gain, state, self._standardised())
        return kept[3]

    def _standardised(self) -> Tensor:
        return standardised(self.weight, self.gain, scale=self.scale, eps=self.eps, floor=self.floor)

    def train(self, mode: bool = True) -> Self:
        self._kept = None  # nor does writing through `.data`
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._kept = None
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": None}  # a copy has other tensors

    def extra_repr(self) -> str:
        return super().extra_repr() + f", scale={self.scale:.4g}"


class ScaledWSConv2d(Standardised, Framewise, nn.Conv2d):
    """A convolution whose filters are standardised whenever they are used:

        What_i = scale * gain_i * (W_i - mean_i) / (std_i sqrt(N))

    over the N weights of filter i, with their population deviation; `gain` ⟨O,1,1,1⟩ is learned and starts at 1, the bias
    at 0, W at N(0, 1/N). `floor` takes the paper's release's guard, 1 / sqrt(max(N var, eps)), exact for any filter that
    is not almost constant; without it timm's, 1 / sqrt(N (var + eps)), which shrinks each filter a little.

    In evaluation without gradients the standardised weight is made once and kept until a parameter or the mode changes, so
    that the network costs what plain convolutions cost. What is kept is in no state_dict, copy or exported program.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        scale: float = 1.0,
        eps: float = 1e-4,
        floor: bool = True,
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
            padding_mode="circular" if circular else "zeros",
        )
        self.same = same
        self._begin(scale, eps, floor)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 5:
            return self.on_clips(x)
        weight, bias = self._used(x)
        if self.same and self.stride != (1, 1):
            x = pad_same(x, spread(self), self.stride[0], 0.0)
            return F.conv2d(x, weight, bias, self.stride, 0, self.dilation, self.groups)
        return self._conv_forward(x, weight, bias)

    def plain(self) -> Conv2d:
        """A convolution that holds the filters as they stand, for export: in evaluation the same to the bit."""
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
        conv.over = self.over
        conv.to(self.weight).load_state_dict(self.state_dict() | {"weight": self._standardised()}, strict=False)
        return conv.train(self.training)


class ScaledWSConv3d(Standardised, Conv3d):
    """`ScaledWSConv2d` over the frames of clips: a filter's N weights are those of all frames that it reads."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        temporal: int,
        stride: int = 1,
        over: int = 1,
        groups: int = 1,
        dilation: int = 1,
        scale: float = 1.0,
        eps: float = 1e-4,
        floor: bool = True,
        same: bool = False,
        circular: bool = False,
        edges: Edges = Edges.ZEROS,
    ) -> None:
        super().__init__(
            inputs,
            outputs,
            kernel,
            temporal=temporal,
            stride=stride,
            over=over,
            groups=groups,
            dilation=dilation,
            bias=True,
            same=same,
            circular=circular,
            edges=edges,
        )
        self._begin(scale, eps, floor)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolved(x, *self._used(x))

    def of_pictures(self, held: Mapping[str, Tensor], *, mean: bool) -> dict[str, Tensor]:
        """As `Conv3d.of_pictures`. What counts is the filter that is used: of N weights a mean is taken out, and their
        deviation times sqrt(N) is 1, so filters of more frames are given such that both stay what they were."""
        root, weight = self.kernel_size[0] ** 0.5, held["weight"]
        if mean:
            part = weight / root if self.floor else weight
            return super().of_pictures({"weight": part * self.kernel_size[0]}, mean=True) | {
                "gain": held["gain"][..., None] / root
            }
        centred = weight - weight.mean((1, 2, 3), keepdim=True)
        whole = super().of_pictures({"weight": centred if self.floor else centred * root}, mean=False)
        return whole | {"gain": held["gain"][..., None]}

    def plain(self) -> Conv3d:
        """As `ScaledWSConv2d.plain`."""
        conv = Conv3d(
            self.in_channels,
            self.out_channels,
            self.kernel_size[1],
            temporal=self.kernel_size[0],
            stride=self.stride[1],
            over=self.stride[0],
            groups=self.groups,
            dilation=self.dilation[1],
            bias=self.bias is not None,
            same=self.same,
            circular=self.circular,
            edges=self.edges,
        )
        conv.to(self.weight).load_state_dict(self.state_dict() | {"weight": self._standardised()}, strict=False)
        return conv.train(self.training)


def standardised(weight: Tensor, gain: Tensor, *, scale: float, eps: float, floor: bool) -> Tensor:
    """What of `ScaledWSConv2d`, ⟨O,I,k,k⟩, or ⟨O,I,t,k,k⟩ of clips.

    Group norm over filters instead of images, each a group: torch's kernels for it are fused forwards and backwards, keep
    W and two numbers a filter, and reckon in float32 at least. On a CPU they take a third of the time of batch norm's.
    """
    layout = torch.channels_last if weight.ndim == 4 else torch.channels_last_3d
    if weight.is_contiguous(memory_format=layout) and not weight.is_contiguous():
        # A filter's order is nothing to its moments: read it as it lies, and hand its layout on to the convolution.
        read = standardised(weight.movedim(1, -1), gain, scale=scale, eps=eps, floor=floor)
        return read.movedim(-1, 1)
    count, filters = weight[0].numel(), len(weight)
    scales = (gain * (scale * count**-0.5)).flatten()
    rows = weight.reshape(1, filters, count)
    if not floor:
        return torch.group_norm(rows, filters, scales, None, eps).view_as(weight)
    # sqrt(max(N var, eps)) is sqrt(N) max(std, sqrt(eps / N)).
    least = eps / count
    if weight.device.type == "cpu" and not torch.compiler.is_compiling():
        # Contiguous for torch 2.8, which otherwise refuses the filters of a supernet's child.
        out, _, inverse = torch.native_group_norm(rows.contiguous(), scales, None, 1, filters, count, filters, _TINY)
        if not bool((inverse * least**0.5 > 1).any()):
            return out.view_as(weight)
    wide = rows[0].to(torch.promote_types(weight.dtype, torch.float32))
    centred = wide - wide.mean(1, keepdim=True)
    spread = centred.square().mean(1, keepdim=True)
    out = centred * (torch.rsqrt(spread.clamp_min(least)) * scales[:, None])
    return out.to(weight.dtype).view_as(weight)
