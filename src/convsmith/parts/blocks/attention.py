"""Self-attention over the whole map, between the stages of networks that make or judge images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from ...arch import Block, Node, Style
from ...layers import SelfAttention2d

__all__ = ["Attention"]


@final
@dataclass(frozen=True)
class Attention(Block):
    """x + gamma times what every position gathers from all (SAGAN; Zhang et al., 2019), gamma 0 at the start: the identity.

    Queries and keys have an eighth of the width, values half of it; convolutions are without bias.

    Raises:
        ValueError: it is to stride or to change the width.
    """

    kind: ClassVar[str] = "self_attention"

    def build(self, node: Node, style: Style) -> nn.Module:
        if not node.keeps:
            raise ValueError(f"{node.path}: attention keeps sides and width; it stands as a stage of its own, stride 1")
        width = node.c_in
        narrow, half = max(1, width // 8), max(1, width // 2)
        query, key, value = (style.conv.build(width, out, 1) for out in (narrow, narrow, half))
        return SelfAttention2d(query, key, value, style.conv.build(half, width, 1))

    def describe(self) -> str:
        return "self-attention"
