"""The three networks of a detector: proposals over all maps, boxes and masks of regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor, nn

from ....arch import Node, Norm, Style, Unit
from ....layers import Conv2d, ConvNorm, Linear, UpConv2d
from ...necks.fpn import Form
from ...norms.none import NoNorm
from ...units import own_style, spatial_conv

__all__ = ["BoxUnit", "MaskUnit", "ProposalUnit", "Proposals"]


@dataclass(frozen=True)
class _Regional(Unit):
    """What the three have in common: hidden 3x3 convolutions to `width`, and how they are made."""

    convs: int
    width: int
    norm: Norm | None
    form: Form
    separable: bool

    def _hidden(self, style: Style, c_in: int) -> Iterator[nn.Module]:
        """Its convolutions of regions, each with its norm and activation."""
        own = own_style(style, self.norm)
        bias = self.form is Form.TENSORFLOW or isinstance(own.norm, NoNorm)
        for _ in range(self.convs):
            conv = spatial_conv(own, c_in, self.width, bias=bias, separable=self.separable)
            yield ConvNorm(conv, own.norm.build(self.width))
            c_in = self.width

    def _convs_in_words(self) -> str:
        conv = "separable conv 3x3" if self.separable else "conv 3x3"
        return {0: "", 1: f"{conv}, "}.get(self.convs, f"{self.convs} x {conv}, ")


@final
@dataclass(frozen=True)
class ProposalUnit(_Regional):
    """`convs` 3x3 convolutions and activations, shared by all maps, then a score and four deltas for each of `anchors` in
    every cell. In the form of tensorflow/tpu each convolution has a norm for every map. All plain convolutions start at
    N(0, 0.01²), biases at 0 (both forms agree). `strides` are the maps'."""

    kind: ClassVar[str] = "proposals"
    anchors: int
    strides: tuple[int, ...]

    def build(self, node: Node, style: Style) -> nn.Module:
        own = own_style(style, self.norm)
        convs, norms, c_in = [], [], node.c_in
        for _ in range(self.convs):
            convs.append(_narrow(spatial_conv(own, c_in, self.width, separable=self.separable), 0.01))
            if self.form is Form.TENSORFLOW:
                norm = own.norm.for_pixels(self.width)
                norms.append(nn.ModuleList(norm.build(self.width) for _ in node.ins))
            else:
                act = own.norm.activation()
                norms.append(nn.ModuleList(act for _ in node.ins))
            c_in = self.width
        scores, deltas = (_narrow(Conv2d(c_in, n * self.anchors, 1), 0.01) for n in (1, 4))
        return Proposals(convs, norms, scores, deltas, self.strides)

    def shown_width(self, node: Node) -> int:
        return self.width

    def describe(self) -> str:
        return f"{self._convs_in_words()}{self.anchors} anchors"


@final
@dataclass(frozen=True)
class BoxUnit(_Regional):
    """`convs` 3x3 convolutions of a region, `fcs` linear layers to `hidden`, then a score and four deltas for each of
    `classes` and for the background, which is class 0.

    Linear layers start as torch's, the scores' at N(0, 0.01²), the deltas' at N(0, 0.001²). A linear layer's norm sees a map of
    one pixel: of norms of groups none is of fewer than 8 channels.
    """

    kind: ClassVar[str] = "boxes"
    fcs: int
    hidden: int
    classes: int

    def build(self, node: Node, style: Style) -> nn.Module:
        own = own_style(style, self.norm)
        convs = nn.Sequential(*self._hidden(style, node.c_in))
        area = 1
        for side in node.sides:
            area *= side
        c_in = (self.width if self.convs else node.c_in) * area
        layers: list[nn.Module] = []
        for _ in range(self.fcs):
            normed = self.form is Form.TENSORFLOW
            behind = own.norm.for_pixels(self.hidden).build(self.hidden) if normed else own.norm.activation()
            layers.append(_Connected(c_in, self.hidden, behind))
            c_in = self.hidden
        scores = _narrow(Linear(c_in, self.classes + 1), 0.01)
        return _Boxes(convs, nn.Sequential(*layers), scores, _narrow(Linear(c_in, 4 * (self.classes + 1)), 0.001))

    def shown_width(self, node: Node) -> int:
        return self.hidden if self.fcs else self.width

    def describe(self) -> str:
        layers = {0: "", 1: "linear, "}.get(self.fcs, f"{self.fcs} x linear, ")
        return f"{self._convs_in_words()}{layers}boxes"


@final
@dataclass(frozen=True)
class MaskUnit(_Regional):
    """`convs` 3x3 convolutions of a region, a 2x2 transposed one with stride 2, and a 1x1 to a map of logits for each of
    `classes` and for the background."""

    kind: ClassVar[str] = "masks"
    classes: int

    def build(self, node: Node, style: Style) -> nn.Module:
        own = own_style(style, self.norm)
        convs = nn.Sequential(*self._hidden(style, node.c_in))
        normed = self.form is Form.TENSORFLOW
        behind = own.norm.build(self.width) if normed else own.norm.activation()
        up = ConvNorm(UpConv2d(self.width if self.convs else node.c_in, self.width), behind)
        return _Masks(convs, up, Conv2d(self.width, self.classes + 1, 1))

    def shown_width(self, node: Node) -> int:
        return self.width

    def describe(self) -> str:
        return f"{self._convs_in_words()}transposed conv 2x2, masks"


def _narrow(module: nn.Module, deviation: float) -> nn.Module:
    """The same with the plain layers in it started at N(0, deviation²), biases at 0."""
    for layer in module.modules():
        if isinstance(layer, Conv2d | Linear):
            nn.init.normal_(layer.weight, std=deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


class Proposals(nn.Module):
    """Maps ⟨N,C,h,w⟩, fine to coarse -> scores ⟨N,A,h,w⟩ and deltas ⟨N,4A,h,w⟩ of each, A blocks of dx, dy, dw, dh."""

    def __init__(
        self,
        convs: list[nn.Module],
        norms: list[nn.ModuleList],
        scores: nn.Module,
        deltas: nn.Module,
        strides: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.convs, self.norms = nn.ModuleList(convs), nn.ModuleList(norms)
        self.scores, self.deltas = scores, deltas
        self.strides = strides

    def forward(self, *maps: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        scores, deltas = [], []
        for level, x in enumerate(maps):
            for conv, norms in zip(self.convs, self.norms, strict=True):
                assert isinstance(norms, nn.ModuleList)
                x = norms[level](conv(x))
            scores.append(self.scores(x))
            deltas.append(self.deltas(x))
        return tuple(scores), tuple(deltas)


class _Connected(nn.Module):
    """A linear layer of everything, and what stands behind it, which is shown a map of one pixel."""

    def __init__(self, inputs: int, outputs: int, norm: nn.Module) -> None:
        super().__init__()
        self.fc, self.norm = Linear(inputs, outputs), norm

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.fc(x.flatten(1))[:, :, None, None])
        return out.flatten(1)


class _Boxes(nn.Module):
    def __init__(self, convs: nn.Module, fcs: nn.Module, scores: nn.Module, deltas: nn.Module) -> None:
        super().__init__()
        self.convs, self.fcs, self.scores, self.deltas = convs, fcs, scores, deltas

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        x = self.fcs(self.convs(regions)).flatten(1)
        return self.scores(x), self.deltas(x)


class _Masks(nn.Module):
    def __init__(self, convs: nn.Module, up: nn.Module, logits: nn.Module) -> None:
        super().__init__()
        self.convs, self.up, self.logits = convs, up, logits

    def forward(self, regions: Tensor) -> Tensor:
        out: Tensor = self.logits(self.up(self.convs(regions)))
        return out
