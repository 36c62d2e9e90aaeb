"""Global average pooling and a linear classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import Tensor, nn

from ...arch import Head, Style
from ...layers import Linear, LinearInit
from ...plans import Node
from ..units import conv_norm

__all__ = ["Classifier", "PooledClassifier"]


@final
@dataclass(frozen=True)
class PooledClassifier(Head):
    """1x1 convolution to `width` (absent at 0), norm-act, mean over space, dropout, linear to `classes`."""

    kind: ClassVar[str] = "pooled_classifier"
    width: int = 0
    dropout: float = 0.0
    init: LinearInit = LinearInit.FAN_IN

    def __post_init__(self) -> None:
        if self.classes < 1 or self.width < 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "pooled_classifier needs classes >= 1, width >= 0 and dropout in [0, 1); "
                f"got {self.classes}, {self.width}, {self.dropout}"
            )

    def build(self, node: Node, style: Style) -> Classifier:
        conv = conv_norm(style, node.c_in, self.width, 1) if self.width else nn.Identity()
        return Classifier(conv, self.width or node.c_in, self.classes, dropout=self.dropout, init=self.init)

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(self, width=grow(self.width)) if self.width else self

    def describe(self) -> str:
        return ("conv 1x1, " if self.width else "") + "pool, linear"


class Classifier(nn.Module):
    """The module of a `PooledClassifier`, in the two steps that `forward_features` and `forward_head` part."""

    def __init__(self, conv: nn.Module, features: int, classes: int, *, dropout: float, init: LinearInit) -> None:
        super().__init__()
        self.conv = conv
        self.dropout = nn.Dropout(dropout)
        self.fc: nn.Module = Linear(features, classes, init)
        self.features = features
        self.init = init

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.conv(x))

    def classify(self, maps: Tensor, *, pre_logits: bool = False) -> Tensor:
        """⟨N,features,H,W⟩ -> ⟨N,classes⟩, or ⟨N,features⟩ before the linear layer."""
        pooled = self.dropout(maps.mean((2, 3)))
        return pooled if pre_logits else self.fc(pooled)

    def reset(self, classes: int) -> None:
        """A freshly initialised linear layer for `classes`; 0 leaves the pooled features as the output."""
        if classes == 0:
            self.fc = nn.Identity()
            return
        reference = next(self.parameters(), None)
        fresh = Linear(self.features, classes, self.init)
        self.fc = fresh if reference is None else fresh.to(device=reference.device, dtype=reference.dtype)
