"""The one builder: a spec becomes a plain `nn.Module`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .arch import ArchSpec, plan
from .errors import UserError
from .parts.heads.classifier import Classifier

__all__ = ["Feature", "FeatureInfo", "Features", "Model", "build"]


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


class Model(nn.Module):
    """A network built from a spec: images ⟨N,C,H,W⟩ -> logits ⟨N,classes⟩, of any size that leaves a map of one pixel.

    `stem`, `stages.<i>.<j>` and `head` are its children; their names are those of `plan(spec)`, so a state_dict's keys
    say where they belong and never depend on how the spec was made.
    """

    def __init__(self, spec: ArchSpec) -> None:
        super().__init__()
        self.spec = spec
        nodes = plan(spec)
        self.stem = nodes[0].part.build(nodes[0], spec.style)
        blocks = iter(nodes[1:-1])
        self.stages = nn.Sequential(
            *(nn.Sequential(*(_block(next(blocks), spec) for _ in range(stage.depth))) for stage in spec.stages)
        )
        self.head: Classifier = spec.head.build(nodes[-1], spec.style)  # type: ignore[assignment]

    @property
    def num_classes(self) -> int:
        """Outputs of the classifier; 0 where it was taken off."""
        return self.head.fc.out_features if isinstance(self.head.fc, nn.Linear) else 0

    @property
    def num_features(self) -> int:
        """Channels that `forward_features` puts out."""
        return self.head.features

    @property
    def head_hidden_size(self) -> int:
        """Channels that the classifier reads: `num_features`, unless a hidden layer stands between."""
        return self.head.read

    @property
    def feature_info(self) -> FeatureInfo:
        """For each total stride, the last map that has it."""
        nodes = plan(self.spec)
        stem = nodes[0]
        found: dict[int, Feature] = {}
        if "pool" in dict(self.stem.named_children()):
            before_pool = stem.stride // 2
            found[before_pool] = Feature(stem.c_out, before_pool, "stem")
        reduction = 1
        for node in nodes[:-1]:
            reduction *= node.stride
            stage = node.path.rsplit(".", 1)[0]
            found[reduction] = Feature(node.c_out, reduction, stage)
        return FeatureInfo(found.values())

    def forward_features(self, x: Tensor) -> Tensor:
        """⟨N,C,H,W⟩ -> ⟨N,num_features,h,w⟩, the map that is pooled."""
        return self.head.conv(self.stages(self.stem(x)))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """That map -> logits, or with `pre_logits` what the classifier reads ⟨N,head_hidden_size⟩."""
        return self.head.classify(x, pre_logits=pre_logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        return self.head.fc

    def reset_classifier(self, classes: int) -> None:
        """A fresh classifier for `classes`; with 0 the model returns pooled features."""
        self.head.reset(classes)
        if classes:
            self.spec = self.spec.with_classes(classes)

    def features_only(self, out_indices: Sequence[int] | None = None) -> Features:
        """A module that returns the maps at `out_indices` of `feature_info`, fine to coarse, sharing these weights."""
        return Features(self, out_indices)


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


def _block(node, spec: ArchSpec) -> nn.Module:  # type: ignore[no-untyped-def]
    return node.part.build(node, spec.style)


def build(spec: ArchSpec, *, seed: int | None = None, device: torch.device | str | None = None) -> Model:
    """The network of `spec` as a plain module in training mode, initialised as its paper's code does.

    With `seed` the weights depend on it alone and the global generator is left as it was. `device="meta"` makes a model
    of shapes without storage.
    """
    with torch.random.fork_rng() if seed is not None else nullcontext(), torch.device(device or "cpu"):
        if seed is not None:
            torch.manual_seed(seed)
        return Model(spec)
