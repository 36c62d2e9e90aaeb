"""Where joints are: score maps and offset maps of a network's last map, enlarged once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self, final

import torch
from torch import Tensor, nn

from ...arch import ArchSpec, Head, Map, Node, Shape, Style, Unit
from ...errors import UserError
from ...layers import Doubling
from ...layers.score_maps import STRIDE, decoded
from ...ranges import at_least
from ...tagged import LATER
from ..units import conv_norm, opening
from .classifier import PooledClassifier

__all__ = ["KeypointMaps", "Keypoints", "keypoints_for", "posed"]

_READS = 2 * STRIDE  # the total stride that doubling makes the maps' stride of
# Networks whose features are their classifier's 1x1 convolution in DeepLabCut, not its last block's.
_WITH_CONV = ("mobilenetv2",)


@final
@dataclass(frozen=True)
class Features(Unit):
    """What stands between the trunk and the maps: a 1x1 convolution to `width`, or at 0 the norm-act of a bare sum."""

    kind: ClassVar[str] = "features"
    width: int

    def build(self, node: Node, style: Style) -> nn.Module:
        return conv_norm(style, node.c_in, self.width, 1) if self.width else opening(style.norm, node.c_in)

    def describe(self) -> str:
        return "conv 1x1" if self.width else "norm-act"


@final
@dataclass(frozen=True)
class Maps(Unit):
    """`channels` maps of twice the sides, by one transposed convolution with a bias and nothing after it."""

    kind: ClassVar[str] = "maps"
    channels: int

    def build(self, node: Node, style: Style) -> nn.Module:
        return Doubling(node.c_in, self.channels)

    def describe(self) -> str:
        return "transposed conv 3x3"


@final
@dataclass(frozen=True)
class Keypoints(Head):
    """Score and offset maps of `joints` K things to find, at stride 8: ⟨N,3K,h,w⟩, h = `score_maps.map_side(H)`.

    It reads a last map of total stride 16 (`ArchSpec.at_stride`), through a 1x1 convolution to `width` in the network's
    style (absent at 0). Each kind of map is one transposed convolution (DeepLabCut's layers.py). `intermediate` adds K
    scores of an earlier stage that has stride 16 too, behind the 3K and in training only: supervision for deep networks
    (DeepLabCut: ResNet-101 and deeper). An exported file decodes: points ⟨N,K,2⟩ in pixels of what is shown, and their
    likelihoods ⟨N,K⟩. With `activated` False a norm-act comes first where there is no convolution, for networks whose
    blocks end in a bare sum.
    """

    kind: ClassVar[str] = "keypoints"
    outputs: ClassVar[tuple[str, ...]] = ("points", "likelihood")
    named: ClassVar[tuple[str, ...]] = ("head.score.", "head.offset.", "head.intermediate.")
    whole: ClassVar[bool] = True
    decides: ClassVar[bool] = True
    purpose: ClassVar[str] = "pose"
    joints: int
    width: int = 0
    intermediate: bool = False
    activated: bool = field(default=True, metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("keypoints.joints", self.joints, 1)
        at_least("keypoints.width", self.width, 0)

    @property
    def n_names(self) -> int:
        return self.joints

    @property
    def every(self) -> bool:
        return self.intermediate

    def renamed(self, n: int) -> Self:
        return replace(self, joints=n)

    def unrolled(self, maps: Sequence[Map]) -> tuple[list[Node], tuple[Map, ...]]:
        last = maps[-1]
        if last.stride != _READS:
            hint = f"give it spec.at_stride({_READS})" if last.stride > _READS else "take a stage with a stride more"
            raise UserError(
                f"keypoints read a last map of total stride {_READS}, and this one has {last.stride}: {hint}"
            )
        read = last.shape
        nodes: list[Node] = []
        reads = (last.path,)
        if self.width or not self.activated:
            entering, read = read, Shape(self.width or read.channels, read.sides)
            nodes.append(Node("head.conv", Features(self.width), (entering,), (read,), reads))
            reads = ("head.conv",)
        for name, channels in (("score", self.joints), ("offset", 2 * self.joints)):
            nodes.append(Node(f"head.{name}", Maps(channels), (read,), (_doubled(read, channels),), reads))
        if self.intermediate:
            earlier = self._earlier(maps)
            shape = earlier.shape
            nodes.append(
                Node(
                    "head.intermediate",
                    Maps(self.joints),
                    (shape,),
                    (_doubled(shape, self.joints),),
                    (earlier.path,),
                    0,
                )
            )
        return nodes, ()

    def _earlier(self, maps: Sequence[Map]) -> Map:
        """The first end of a stage before the last that is as fine as the last."""
        found = next((one for one in maps[:-1] if one.stride == maps[-1].stride), None)
        if found is None:
            raise UserError(
                f"intermediate supervision reads another map of total stride {_READS}, and this network's only one is its "
                "last: give intermediate=False"
            )
        return found

    def assembled(self, units: Mapping[str, nn.Module]) -> nn.Module:
        return KeypointMaps(**{path.partition(".")[2]: unit for path, unit in units.items()})

    def widened(self, grow: Callable[[float], int]) -> Self:
        return replace(self, width=grow(self.width) if self.width else 0)

    @property
    def choice(self) -> int:
        return self.width

    def with_choice(self, width: int) -> Self:
        return replace(self, width=width) if self.width else self

    def deployed(self, head: nn.Module) -> nn.Module:
        return _Decoded(head, self.joints)

    def describe(self) -> str:
        conv = "conv 1x1, " if self.width else ""
        return f"{conv}maps of {self.joints} joint{'s' * (self.joints > 1)}"


def _doubled(shape: Shape, channels: int) -> Shape:
    return Shape(channels, tuple(2 * side for side in shape.sides))


class KeypointMaps(nn.Module):
    """The module of `Keypoints`: the maps of the trunk, fine to coarse, -> ⟨N,3K,h,w⟩; in training K more behind, where there
    is an intermediate."""

    def __init__(
        self, score: nn.Module, offset: nn.Module, conv: nn.Module | None = None, intermediate: nn.Module | None = None
    ) -> None:
        super().__init__()
        if conv is not None:
            self.conv = conv
        self.score, self.offset = score, offset
        self.intermediate = intermediate
        self._through = conv is not None

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        last = maps[-1]
        x = self.conv(last) if self._through else last
        found = [self.score(x), self.offset(x)]
        if self.training and self.intermediate is not None:
            found.append(self.intermediate(next(one for one in maps if one.shape[2:] == last.shape[2:])))
        return torch.cat(found, dim=1)


class _Decoded(nn.Module):
    """How a file ends: points and likelihoods."""

    def __init__(self, head: nn.Module, joints: int) -> None:
        super().__init__()
        self.head, self.joints = head, joints

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return decoded(self.head(maps), self.joints)


def keypoints_for(spec: ArchSpec, joints: int, *, intermediate: bool = False) -> Keypoints:
    """The head that finds `joints` things with the trunk of `spec`.

    A network with such a head keeps its choices. A classifier's 1x1 convolution stays where DeepLabCut reads it, in
    MobileNetV2, so that its pretrained weights load; elsewhere, EfficientNet among them, the maps are made of what the last
    block puts out. Where blocks end in a bare sum the classifier's norm-act stays.
    """
    head = spec.head
    if isinstance(head, Keypoints):
        return replace(head, joints=joints, intermediate=intermediate or head.intermediate)
    if not isinstance(head, PooledClassifier):
        return Keypoints(joints, intermediate=intermediate)
    width = head.width if spec.name.startswith(_WITH_CONV) else 0
    return Keypoints(joints, width, intermediate, head.activated)


def posed(spec: ArchSpec, joints: int, *, intermediate: bool = False) -> ArchSpec:
    """`spec` as a network that finds `joints` things: at stride 16, with the head that `keypoints_for` names.

    Raises:
        UserError: a network that cannot be had at stride 16.
    """
    return replace(spec.at_stride(_READS), head=keypoints_for(spec, joints, intermediate=intermediate))
