"""The ghost bottleneck (GhostNet)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import nn

from ...arch import Block, Choices, Node, Style
from ...layers import Ghost, Residual
from ...ranges import above
from ..squeeze import SE
from ..units import conv_norm, odd

__all__ = ["GhostBottleneck"]


@final
@dataclass(frozen=True)
class GhostBottleneck(Block):
    """Ghost module to m - where it strides, k x k depthwise - SE - ghost module to the width, no activation at the end.

    m = `expand` * the *output* width, to the nearest multiple of 4 (Han et al., 2020, "GhostNet", figure 3). Ghost modules
    derive half of their maps by a depthwise 3x3. The skip is the identity, or a depthwise k x k with the stride and a 1x1.
    SE is squeezed from m.
    """

    kind: ClassVar[str] = "ghost_bottleneck"
    kernel: int = 3
    expand: float = 6
    se: SE | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("ghost_bottleneck.kernel", self.kernel)
        above("ghost_bottleneck.expand", self.expand, 0)

    @property
    def choices(self) -> Choices:
        return Choices(self.kernel, self.expand)

    def varied(self, kernel: int, expand: float) -> Self:
        return replace(self, kernel=kernel, expand=expand)

    def build(self, node: Node, style: Style) -> nn.Module:
        middle = max(4, 4 * round(node.c_out * self.expand / 4))
        branch: OrderedDict[str, nn.Module] = OrderedDict(
            ghost1=_ghost(style, node.c_in, middle, temporal=node.temporal, over=node.over)
        )
        if node.stride > 1:
            branch["depthwise"] = conv_norm(
                style, middle, middle, self.kernel, stride=node.stride, groups=middle, activate=False
            )
        if self.se is not None:
            branch["se"] = self.se.build(middle, of=middle)
        branch["ghost2"] = _ghost(style, middle, node.c_out, activate=False, zero=style.zero_last)
        return Residual(nn.Sequential(branch), skip=self._skip(node, style), drop_path=node.drop_path)

    def _skip(self, node: Node, style: Style) -> nn.Module:
        if node.keeps:
            return nn.Identity()
        spatial = conv_norm(
            style,
            node.c_in,
            node.c_in,
            self.kernel,
            stride=node.stride,
            groups=node.c_in,
            over=node.over,
            activate=False,
        )
        project = conv_norm(style, node.c_in, node.c_out, 1, activate=False)
        return nn.Sequential(OrderedDict(depthwise=spatial, project=project))

    def describe(self) -> str:
        words = ["ghost", f"k{self.kernel}", f"e{self.expand:.3g}"]
        return " ".join(words if self.se is None else [*words, self.se.describe()])


def _ghost(
    style: Style, c_in: int, c_out: int, *, temporal: int = 1, over: int = 1, activate: bool = True, zero: bool = False
) -> nn.Module:
    half = -(-c_out // 2)
    primary = conv_norm(style, c_in, half, 1, temporal=temporal, over=over, activate=activate, zero=zero)
    cheap = conv_norm(style, half, half, 3, groups=half, activate=activate, zero=zero)
    return Ghost(primary, cheap, c_out)
