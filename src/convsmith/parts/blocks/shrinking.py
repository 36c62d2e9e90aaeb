"""The residual blocks of networks that judge images: pre-activated, and shrunk by average pools."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ...arch import Block, Node, Style
from ...layers import Appended, Residual
from ...ranges import above
from ..units import odd, opening
from .shortcut import pooled

__all__ = ["ShrinkingBlock", "ShrinkingBottleneck"]


@final
@dataclass(frozen=True)
class ShrinkingBlock(Block):
    """Norm-act - k x k - norm-act - k x k - average pool, beside it 1x1 - pool of what enters; nothing after the sum (BigGAN's
    discriminator; Brock et al., 2019). The skip is the identity where nothing changes."""

    kind: ClassVar[str] = "shrinking"
    kernel: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("shrinking.kernel", self.kernel)

    def build(self, node: Node, style: Style) -> nn.Module:
        branch = OrderedDict(
            norm1=opening(style.norm, node.c_in),
            conv1=style.conv.build(node.c_in, node.c_out, self.kernel, bias=True),
            norm2=style.norm.build(node.c_out),
            conv2=style.conv.build(node.c_out, node.c_out, self.kernel, bias=True),
            **pooled(node),
        )
        skip: nn.Module = nn.Identity()
        if not node.keeps:
            project = style.conv.build(node.c_in, node.c_out, 1, bias=True)
            skip = nn.Sequential(OrderedDict(project=project, **pooled(node)))
        return Residual(nn.Sequential(branch), skip=skip, drop_path=node.drop_path)

    def describe(self) -> str:
        return f"shrinking k{self.kernel}"


@final
@dataclass(frozen=True)
class ShrinkingBottleneck(Block):
    """Norm-act - 1x1 to `ratio` of the width that leaves - norm-act - k x k - norm-act - k x k - norm-act - pool - 1x1, as in
    BigGAN-deep's discriminator. The skip pools what enters and keeps all of it: channels that it lacks are a 1x1 of it, behind.

    Raises:
        ValueError: it is to put out fewer channels than enter.
    """

    kind: ClassVar[str] = "shrinking_bottleneck"
    kernel: int = 3
    ratio: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        odd("shrinking_bottleneck.kernel", self.kernel)
        above("shrinking_bottleneck.ratio", self.ratio, 0)

    def build(self, node: Node, style: Style) -> nn.Module:
        if node.c_out < node.c_in:
            raise ValueError(f"{node.path}: its skip keeps all of {node.c_in} channels, too many for {node.c_out}")
        inner = max(1, round(node.c_out * self.ratio))
        branch = OrderedDict(
            norm1=opening(style.norm, node.c_in),
            reduce=style.conv.build(node.c_in, inner, 1, bias=True),
            norm2=style.norm.build(inner),
            conv1=style.conv.build(inner, inner, self.kernel, bias=True),
            norm3=style.norm.build(inner),
            conv2=style.conv.build(inner, inner, self.kernel, bias=True),
            norm4=style.norm.build(inner),
            **pooled(node),
            restore=style.conv.build(inner, node.c_out, 1, bias=True),
        )
        parts = pooled(node)
        if node.c_out > node.c_in:
            parts["more"] = Appended(style.conv.build(node.c_in, node.c_out - node.c_in, 1, bias=True))
        skip = nn.Sequential(parts) if parts else nn.Identity()
        return Residual(nn.Sequential(branch), skip=skip, drop_path=node.drop_path)

    def describe(self) -> str:
        return f"shrinking bottleneck k{self.kernel}"
