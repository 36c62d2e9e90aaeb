"""The one builder: a spec becomes a plain `nn.Module`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .ambient import usual
from .arch import ArchSpec, Node, Style, plan, taps, trunk
from .errors import UserError
from .parts.heads.classifier import Classifier

__all__ = ["Feature", "FeatureInfo", "Features", "Make", "Model", "build", "build_unit"]


@dataclass(frozen=True)
class Feature:
    """One map a user may tap: its channels, its total stride, and the module that puts it out."""

    channels: int
    reduction: int
    module: str


class FeatureInfo(tuple[Feature, ...]):
    """The maps of a network from fine to coarse, one for each total stride."""

    __slots__ = ()

    def channels(self) -> list[int]:
        return [feature.channels for feature in self]

    def reduction(self) -> list[int]:
        return [feature.reduction for feature in self]

    def module_name(self) -> list[str]:
        return [feature.module for feature in self]


Make = Callable[[Node, Style], nn.Module]


def build_unit(node: Node, style: Style) -> nn.Module:
    """A unit as its part builds it."""
    return node.part.build(node, style)


class Model(nn.Module):
    """A network built from a spec: images ⟨N,C,H,W⟩ -> what its head puts out, of any size that leaves a map of one pixel.

    It is called with what `spec.shapes` says: one that makes images with random numbers and classes, one that judges them with
    images and their classes.
    `stem`, `stages.<i>.<j>`, `neck` where there is one and `head` are its children; their names are those of `plan(spec)`,
    so a state_dict's keys say where they belong and never depend on how the spec was made. `make` is how a unit comes to be.
    """

    def __init__(self, spec: ArchSpec, make: Make = build_unit) -> None:
        super().__init__()
        self.spec = spec
        nodes = plan(spec)
        units = {node.path: make(node, spec.style) for node in nodes}
        self.stem = units["stem"]
        self.stages = nn.Sequential(
            *(
                nn.Sequential(*(units[f"stages.{index}.{repeat}"] for repeat in range(stage.depth)))
                for index, stage in enumerate(spec.stages)
            )
        )
        self.neck: nn.Module | None = None
        if spec.neck is not None:
            self.neck = spec.neck.assembled(_under("neck", units))
        self.head = spec.head.assembled(_under("head", units))
        # Most networks are a chain. Where more than the last map is read, these of the stem and the stages are kept.
        self._several = any(node.reads for node in nodes if node.path.partition(".")[0] == "head")
        every = (spec.neck or spec.head).every
        kept = {tap.path.rpartition(".")[0] or tap.path for tap in taps(trunk(spec), every=every)}
        self._kept = tuple(name in kept for name in ("stem", *(f"stages.{index}" for index in range(len(spec.stages)))))
        told = {node.path for node in trunk(spec) if node.reads}
        # Blocks one by one, and whether each is called with a condition, where the stem puts some out.
        self._told = tuple((path, path in told) for path in _blocks(spec)) if told else ()

    @property
    def num_classes(self) -> int:
        """Outputs of the classifier; 0 where it was taken off."""
        fc = self.get_classifier()
        return fc.out_features if isinstance(fc, nn.Linear) else 0

    @property
    def num_features(self) -> int:
        """Channels that `forward_features` puts out."""
        return self._classifier().features

    @property
    def head_hidden_size(self) -> int:
        """Channels that the classifier reads: `num_features`, unless a hidden layer stands between."""
        return self._classifier().read

    @property
    def feature_info(self) -> FeatureInfo:
        """For each total stride of the trunk, the last map that has it."""
        found: dict[int, Feature] = {}
        nodes = trunk(self.spec)
        if "pool" in dict(self.stem.named_children()):
            before_pool = nodes[0].stride // 2
            found[before_pool] = Feature(nodes[0].c_out, before_pool, "stem")
        for tap in taps(nodes):
            found[tap.stride] = Feature(tap.shape.channels, tap.stride, tap.path.rsplit(".", 1)[0])
        return FeatureInfo(found.values())

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """The maps that a neck or a head reads, fine to coarse: the last of each total stride, or what the neck made of
        them."""
        found: list[Tensor] = []
        for kept, part in zip(self._kept, (self.stem, *self.stages), strict=True):
            x = part(x)
            if kept:
                found.append(x)
        return tuple(found) if self.neck is None else self.neck(tuple(found))

    def forward_features(self, x: Tensor) -> Tensor:
        """⟨N,C,H,W⟩ -> the last map ⟨N,num_features,h,w⟩; of a classifier the one that is pooled."""
        x = self.stages(self.stem(x)) if self.neck is None else self.maps(x)[-1]
        return self.head.conv(x) if isinstance(self.head, Classifier) else x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Any:
        """That map -> logits, or with `pre_logits` what the classifier reads ⟨N,head_hidden_size⟩.

        Raises:
            UserError: a head that reads several maps, or has no logits to be before.
        """
        if isinstance(self.head, Classifier):
            return self.head.classify(x, pre_logits=pre_logits)
        if pre_logits or self._several:
            why = "has no classifier" if pre_logits else "reads several maps: give it `model.maps(images)`"
            raise UserError(f"the head of {self.spec.name}, {self.spec.head.describe()}, {why}")
        return self.head(x)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Any:
        if self._told:
            return self.head(self._conditioned(x, y))
        if self._several:
            return self.head(self.maps(x))
        if y is not None:
            return self.head(self.forward_features(x), y)
        return self.forward_head(self.forward_features(x))

    def _conditioned(self, z: Tensor, y: Tensor | None) -> Tensor:
        """The last map of a network whose stem puts out a condition for some of its blocks."""
        x, *conditions = self.stem(z, y)
        following = iter(conditions)
        for path, told in self._told:
            block = self.get_submodule(path)
            x = block(x, next(following)) if told else block(x)
        return x

    def get_classifier(self) -> nn.Module:
        return self._classifier().fc

    def reset_classifier(self, classes: int) -> None:
        """A fresh classifier for `classes`; with 0 the model returns pooled features."""
        self._classifier().reset(classes)
        if classes:
            self.spec = self.spec.with_classes(classes)

    def features_only(self, out_indices: Sequence[int] | None = None) -> Features:
        """A module that returns the maps at `out_indices` of `feature_info`, fine to coarse, sharing these weights."""
        return Features(self, out_indices)

    def _classifier(self) -> Classifier:
        if isinstance(self.head, Classifier):
            return self.head
        raise UserError(f"{self.spec.name} ends in {self.spec.head.describe()}, which is no classifier")


def _blocks(spec: ArchSpec) -> Iterable[str]:
    """The paths of the blocks, in order."""
    return (f"stages.{index}.{repeat}" for index, stage in enumerate(spec.stages) for repeat in range(stage.depth))


def _under(name: str, units: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The units of a neck or a head."""
    return {path: unit for path, unit in units.items() if path.partition(".")[0] == name}


class Features(nn.Module):
    """The trunk of a model up to the last map asked for; returns a list of maps."""

    def __init__(self, model: Model, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        info = model.feature_info
        chosen = range(len(info)) if out_indices is None else out_indices
        try:
            self.feature_info = FeatureInfo(info[index] for index in chosen)
        except IndexError:
            raise UserError(
                f"out_indices {list(chosen)} is outside the {len(info)} maps of {model.spec.name}"
            ) from None
        taps = {feature.module for feature in self.feature_info}
        steps: OrderedDict[str, nn.Module] = OrderedDict()
        for name, module in _trunk(model):
            steps[name.replace(".", "_")] = module
            if taps <= {step.replace("_", ".") for step in steps}:
                break
        self.steps = nn.ModuleDict(steps)
        self.taps = [name.replace(".", "_") for name in self.feature_info.module_name()]

    def forward(self, x: Tensor) -> list[Tensor]:
        found: dict[str, Tensor] = {}
        for name, step in self.steps.items():
            x = step(x)
            if name in self.taps:
                found[name] = x
        return [found[name] for name in self.taps]


def _trunk(model: Model) -> Iterable[tuple[str, nn.Module]]:
    children = dict(model.stem.named_children())
    pool = children.pop("pool", None)
    yield "stem", nn.Sequential(OrderedDict(children))
    if pool is not None:
        yield "pool", pool
    for index, stage in enumerate(model.stages):
        yield f"stages.{index}", stage


def build(spec: ArchSpec, *, seed: int | None = None, device: torch.device | str | None = None) -> Model:
    """The network of `spec` as a plain module in training mode, initialised as its paper's code does.

    With `seed` the weights depend on it alone and the global generator is left as it was: drawn in float32, then of torch's
    default dtype. `device="meta"` makes a model of shapes without storage.
    """
    dtype = torch.get_default_dtype()
    with torch.random.fork_rng() if seed is not None else nullcontext(), usual(), torch.device(device or "cpu"):
        if seed is not None:
            torch.manual_seed(seed)
        return Model(spec).to(dtype)
