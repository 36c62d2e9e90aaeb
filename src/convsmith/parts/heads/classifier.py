"""Global average pooling and a linear classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

from torch import Tensor, nn

from ...arch import Head, Map, Node, Shape, Style, Unit
from ...layers import Linear, LinearInit
from ...ranges import at_least, within
from ..units import conv_norm, opening

__all__ = ["Classifier", "PooledClassifier"]


@final
@dataclass(frozen=True)
class PooledClassifier(Head, Unit):
    """1x1 convolution to `width` (absent at 0), norm-act, mean over space and time, dropout, linear to `classes`.

    With `activated` False a norm-act comes first where there is no convolution, for networks whose blocks end in a bare
    sum; where there is one it reads the sum. `hidden` puts a linear layer and an activation between the mean and the
    dropout (GhostNet).
    """

    kind: ClassVar[str] = "pooled_classifier"
    outputs: ClassVar[tuple[str, ...]] = ("logits",)
    named: ClassVar[tuple[str, ...]] = ("head.fc.",)
    classes: int
    width: int = 0
    dropout: float = 0.0
    init: LinearInit = LinearInit.FAN_IN
    hidden: int = 0
    activated: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("pooled_classifier.classes", self.classes, 1)
        at_least("pooled_classifier.width", self.width, 0)
        at_least("pooled_classifier.hidden", self.hidden, 0)
        within("pooled_classifier.dropout", self.dropout, 0, 1)

    @property
    def n_names(self) -> int:
        return self.classes

    def renamed(self, n: int) -> Self:
        return replace(self, classes=n)

    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        return [Node("head", self, ins=(maps[-1].shape,), outs=(Shape(self.classes),))], ()

    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        return units["head"]

    def build(self, node: Node, style: Style) -> Classifier:
        conv: nn.Module = nn.Identity()
        if self.width:
            conv = conv_norm(style, node.c_in, self.width, 1)
        elif not self.activated:
            conv = opening(style.norm, node.c_in)
        features = self.width or node.c_in
        head = Classifier(conv, features, self.classes, dropout=self.dropout, init=self.init, hidden=self.hidden)
        if self.hidden:
            head.act = style.norm.activation()
        return head

    def widened(self, grow: Callable[[float], int]) -> Self:
        width, hidden = (grow(channels) if channels else 0 for channels in (self.width, self.hidden))
        return replace(self, width=width, hidden=hidden)

    @property
    def choice(self) -> int:
        return self.width

    def with_choice(self, width: int) -> Self:
        return replace(self, width=width) if self.width else self

    def with_dropout(self, rate: float) -> Self:
        return replace(self, dropout=rate)

    def shown_width(self, node: Node) -> int:
        return self.width or node.c_in

    def describe(self) -> str:
        return ("conv 1x1, " if self.width else "") + "pool, " + ("linear, " if self.hidden else "") + "linear"


class Classifier(nn.Module):
    """The module of a `PooledClassifier`, in the two steps that `forward_features` and `forward_head` part."""

    def __init__(
        self, conv: nn.Module, features: int, classes: int, *, dropout: float, init: LinearInit, hidden: int = 0
    ) -> None:
        super().__init__()
        self.conv = conv
        self.hidden: nn.Module = Linear(features, hidden) if hidden else nn.Identity()
        self.act: nn.Module = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.fc: nn.Module = Linear(hidden or features, classes, init)
        self.features = features
        self.read = hidden or features
        self.init = init

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.conv(x))

    def classify(self, maps: Tensor, *, pre_logits: bool = False) -> Tensor:
        """⟨N,features,H,W⟩ or ⟨N,features,T,H,W⟩ -> ⟨N,classes⟩, or what the last linear layer reads."""
        pooled = self.dropout(self.act(self.hidden(maps.mean(tuple(range(2, maps.ndim))))))
        return pooled if pre_logits else self.fc(pooled)

    def reset(self, classes: int) -> None:
        """A freshly initialised linear layer for `classes`; 0 leaves the pooled features as the output."""
        if classes == 0:
            self.fc = nn.Identity()
            return
        reference = next(self.parameters(), None)
        fresh = Linear(self.read, classes, self.init)
        self.fc = fresh if reference is None else fresh.to(device=reference.device, dtype=reference.dtype)
