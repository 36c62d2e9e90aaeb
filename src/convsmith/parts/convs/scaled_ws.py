"""Convolutions with scaled weight standardisation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, final

from torch import nn

from ...arch import Act, Conv, Padding
from ...layers import ScaledWSConv2d, ScaledWSConv3d
from ...ranges import above
from ..gains import RELEASED
from .plain import PlainConv

__all__ = ["Guard", "ScaledWS"]


class Guard(StrEnum):
    """Against almost constant filters. floor: max(N var, eps), the authors' code. added: var + eps, timm's."""

    FLOOR = "floor"
    ADDED = "added"


@final
@dataclass(frozen=True)
class ScaledWS(Conv):
    """Standardised filters with a learned gain and a bias (Brock et al., 2021).

    `gain_of` folds the gain of that activation into every filter, as timm does: also into the stem's, which no activation
    precedes. The authors multiply the activation instead (`NoNorm(gain=True)`). Depthwise filters are left as they are, with
    a bias: two of a 3x3's nine degrees of freedom are too many to take, and a 1x1 has none (the paper's remedy is groups of 8).
    """

    kind: ClassVar[str] = "scaled_ws"
    gain_of: Act = Act.NONE
    eps: float = 1e-4
    guard: Guard = Guard.FLOOR

    def __post_init__(self) -> None:
        super().__post_init__()
        above("scaled_ws.eps", self.eps, 0, 1)

    def build(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
        dilation: int = 1,
        temporal: int = 1,
        over: int = 1,
    ) -> nn.Module:
        given: dict[str, Any] = {"stride": stride, "groups": groups, "dilation": dilation}
        if groups == c_in and c_in > 1:
            plain = PlainConv(padding=self.padding, edges=self.edges)
            return plain.build(c_in, c_out, kernel, bias=True, temporal=temporal, over=over, **given)
        given |= {"scale": RELEASED[self.gain_of], "eps": self.eps, "floor": self.guard is Guard.FLOOR}
        given |= {"same": self.padding is Padding.SAME, "circular": self.padding is Padding.CIRCULAR}
        if temporal > 1:
            return ScaledWSConv3d(c_in, c_out, kernel, temporal=temporal, over=over, edges=self.edges, **given)
        conv = ScaledWSConv2d(c_in, c_out, kernel, **given)
        conv.over = over
        return conv

    def describe(self) -> str:
        return "standardised conv" + ("" if self.gain_of is Act.NONE else f" for {self.gain_of}")
