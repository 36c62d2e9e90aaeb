"""One set of weights, and any child as the ordinary network called on views of it.

There are no dynamic layers. The weights are those of the space's biggest network; a child's forward is its own modules, built
without storage, called with the parts of those weights that its shapes name (`slicing`). Gradients reach the weights through
the views, and are exactly zero outside them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ..arch import ArchSpec, Style
from ..layers import DropPath, EvoNormB
from ..model import Model, build
from ..plans import Node, plan
from .calibrate import calibrate
from .slicing import Cut, blank, blank_unit, check, cut, cuts
from .space import Space

__all__ = ["Child", "Supernet", "resized"]


class Supernet:
    """The shared weights of a space: `model` is the biggest child's network and holds them, as its parameters.

    `child(spec)` is called in training, `extract(spec)` is a stand-alone copy, `calibrated(spec, batches)` one that is fit to
    be evaluated. The running statistics of `model` are never written: a distribution of 16 channels is not that of 24.

    Raises:
        UserError: a space with a part whose weights cannot be shared, with the reason.
    """

    def __init__(self, space: Space, *, seed: int | None = None, device: torch.device | str | None = None) -> None:
        check(space)
        self.space = space
        self.model: Model = build(space.biggest(), seed=seed, device=device).to(memory_format=torch.channels_last)

    def over(self, model: Model) -> Supernet:
        """The same space over another network of the biggest's shape, such as a moving average of `model`."""
        other = copy(self)
        other.model = model
        return other

    def child(self, spec: ArchSpec, *, regularised: bool = False) -> Child:
        """The network of `spec` on the shared weights. With `regularised` dropout and stochastic depth are on.

        Raises:
            UserError: a spec that is not in the space.
        """
        network, parts = _network(self.space, spec, regularised)
        return Child(spec, self.model, network, parts)

    def extract(self, spec: ArchSpec) -> Model:
        """A stand-alone network of `spec` with copies of its weights, in training mode, its running statistics fresh."""
        _, parts = _network(self.space, spec, False)
        like = next(self.model.parameters())
        own: Model = blank(spec).to(like.dtype).to_empty(device=like.device)
        shared = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, parameter in own.named_parameters():
                parameter.copy_(cut(shared[name], parts[name]))
            for module in own.modules():
                if isinstance(module, _BatchNorm):
                    module.reset_running_stats()
                elif isinstance(module, EvoNormB):
                    module.running_var.fill_(1)
        own.to(memory_format=torch.channels_last)
        return own

    def calibrated(
        self,
        spec: ArchSpec,
        batches: Sequence[Tensor],
        *,
        prepare: Callable[[Tensor], Tensor] = lambda images: images,
        layerwise: bool = False,
    ) -> Model:
        """`extract(spec)` with the statistics of `batches`, in evaluation mode. See `calibrate`.

        A batch is moved to the weights' device, prepared and resized when its turn comes, one at a time: thousands of images
        may be held as bytes.
        """
        model = self.extract(spec)
        calibrate(model, _Prepared(batches, prepare, spec.input.resolution, _device(model)), layerwise=layerwise)
        return model


class Child:
    """A child on shared weights: images ⟨N,C,H,W⟩ of any side -> logits ⟨N,classes⟩, at the child's own resolution.

    Normalises with the statistics of the batch, always, and writes none. Calling it again after a step of the optimiser
    sees the new weights.
    """

    def __init__(self, spec: ArchSpec, whole: nn.Module, network: nn.Module, parts: dict[str, Cut]) -> None:
        self.spec = spec
        self._whole = whole
        self._network = network
        self._parts = parts

    def views(self) -> dict[str, Tensor]:
        """Views of the shared weights by the child's own names for them; autograd leads from each to the whole."""
        shared = dict(self._whole.named_parameters())
        return {name: cut(shared[name], how) for name, how in self._parts.items()}

    def __call__(self, images: Tensor) -> Tensor:
        given = self.views()
        for name, buffer in self._network.named_buffers():  # what a norm writes while it trains, and nobody reads
            given[name] = torch.ones(buffer.shape, dtype=buffer.dtype, device=images.device)
        images = resized(images, self.spec.input.resolution)
        out: Tensor = functional_call(self._network, given, (images,), tie_weights=False)
        return out


class _Prepared(Sequence[Tensor]):
    """Batches as a network of side `side` is shown them, each made anew when it is asked for."""

    def __init__(
        self, batches: Sequence[Tensor], prepare: Callable[[Tensor], Tensor], side: int, device: torch.device
    ) -> None:
        self._batches, self._prepare, self._side, self._device = batches, prepare, side, device

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, at: int) -> Tensor:  # type: ignore[override]
        return resized(self._prepare(self._batches[at].to(self._device)), self._side)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def resized(images: Tensor, side: int) -> Tensor:
    """Images at another side, by antialiased bilinear interpolation, as evaluation resizes them."""
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, size=side, mode="bilinear", antialias=True)


# ---- networks without storage --------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _network(space: Space, spec: ArchSpec, regularised: bool) -> tuple[nn.Module, dict[str, Cut]]:
    """The modules of a child and the parts of the biggest's weights that are its own.

    The units are the ordinary ones, each built once: random children seldom recur, their units always do, and making
    modules takes longer than a small child's step.
    """
    genes = space.genes(spec)
    units: dict[str, nn.Module] = {}
    parts: dict[str, Cut] = {}
    whole = {node.path: node for node in plan(space.biggest())}
    for node in plan(space.spec(genes)):
        if not regularised:
            node = replace(node, drop_path=0.0)
        units[node.path], own = _unit(node, whole[node.path], spec.style, regularised)
        parts |= {f"{node.path}.{name}": how for name, how in own.items()}
    stages: list[list[nn.Module]] = [[] for _ in spec.stages]
    for path, unit in units.items():
        if path.startswith("stages."):
            stages[int(path.split(".")[1])].append(unit)
    body = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
    return nn.Sequential(OrderedDict(stem=units["stem"], stages=body, head=units["head"])), parts


@lru_cache(maxsize=16384)
def _unit(node: Node, whole: Node, style: Style, regularised: bool) -> tuple[nn.Module, dict[str, Cut]]:
    unit = blank_unit(node, style)
    parts = cuts(unit, blank_unit(whole, style))
    for module in unit.modules():
        if isinstance(module, _BatchNorm):  # without buffers torch normalises with the batch's own statistics
            module.running_mean = module.running_var = module.num_batches_tracked = None
        if not regularised and isinstance(module, (nn.Dropout, DropPath)):
            module.eval()
    return unit, parts
