"""One set of weights, and any child as the ordinary network called on views of it.

There are no dynamic layers. The weights are those of the space's biggest network; a child's forward is its own modules, built
without storage, called with the parts of those weights that its shapes name (`slicing`). Gradients reach the weights through
the views, and are exactly zero outside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..arch import ArchSpec, Node, Style, plan
from ..layers import DropPath, running
from ..model import Model, build
from .calibrate import calibrate
from .slicing import Cut, blank, blank_unit, check, cut, cuts
from .space import Space

__all__ = ["Child", "Supernet", "recalibrate", "resized"]


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
        self._shared = _places(self.model)

    def over(self, model: Model) -> Supernet:
        """The same space over another network of the biggest's shape, such as a moving average of `model`."""
        other = copy(self)
        other.model, other._shared = model, _places(model)
        return other

    def child(self, spec: ArchSpec, *, regularised: bool = False) -> Child:
        """The network of `spec` on the shared weights. With `regularised` dropout and stochastic depth are on.

        Raises:
            UserError: a spec that is not in the space.
        """
        return Child(spec, _network(self.space, spec, regularised), self._shared)

    def extract(self, spec: ArchSpec) -> Model:
        """A stand-alone network of `spec` with copies of its weights, in training mode, its running statistics fresh."""
        parts = _network(self.space, spec, False).parts
        like = next(self.model.parameters())
        own: Model = blank(spec).to(like.dtype).to_empty(device=like.device)
        shared = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, parameter in own.named_parameters():
                parameter.copy_(cut(shared[name], parts[name]))
            for module in own.modules():
                if (kept := running(module)) is not None:
                    kept.forget()
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
        """`extract(spec)` with the statistics of `batches`, in evaluation mode. See `recalibrate`."""
        model = self.extract(spec)
        recalibrate(model, batches, prepare=prepare, layerwise=layerwise)
        return model


class Child:
    """A child on shared weights: images ⟨N,C,H,W⟩ of any side -> logits ⟨N,classes⟩, at the child's own resolution.

    Normalises with the statistics of the batch, always, and writes none. Calling it again after a step of the optimiser
    sees the new weights.
    """

    def __init__(self, spec: ArchSpec, network: _Blank, shared: dict[str, _Place]) -> None:
        self.spec = spec
        self._network = network
        self._shared = shared

    def views(self) -> dict[str, Tensor]:
        """Views of the shared weights by the child's own names for them; autograd leads from each to the whole."""
        return {name: cut(self._shared[name].held, how) for name, how in self._network.parts.items()}

    def __call__(self, images: Tensor) -> Tensor:
        given = self.views()
        for name, place in self._network.written.items():
            given[name] = torch.ones_like(place.held, device=images.device)
        images = resized(images, self.spec.input.sides)
        with _lent(self._network.places, given):
            out: Tensor = self._network.module(images)
        return out


def recalibrate(
    model: Model,
    batches: Sequence[Tensor],
    *,
    prepare: Callable[[Tensor], Tensor] = lambda images: images,
    layerwise: bool = False,
) -> None:
    """`calibrate` at the model's own resolution and on its own device.

    A batch is moved to the weights' device, prepared and resized when its turn comes, one at a time: thousands of images
    may be held as bytes.
    """
    calibrate(model, _Prepared(batches, prepare, model.spec.input.sides, _device(model)), layerwise=layerwise)


class _Prepared(Sequence[Tensor]):
    """Batches as a network of `sides` is shown them, each made anew when it is asked for."""

    def __init__(
        self,
        batches: Sequence[Tensor],
        prepare: Callable[[Tensor], Tensor],
        sides: tuple[int, int],
        device: torch.device,
    ) -> None:
        self._batches, self._prepare, self._sides, self._device = batches, prepare, sides, device

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, at: int) -> Tensor:  # type: ignore[override]
        return resized(self._prepare(self._batches[at].to(self._device)), self._sides)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def resized(images: Tensor, sides: int | tuple[int, int]) -> Tensor:
    """Images at other sides, one number for squares, by antialiased bilinear interpolation, as evaluation resizes them."""
    sides = (sides, sides) if isinstance(sides, int) else sides
    if images.shape[-2:] == sides:
        return images
    return F.interpolate(images, size=sides, mode="bilinear", antialias=True)


# ---- networks without storage --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a module holds a tensor, which may be another one tomorrow. To look for places takes longer than to use them."""

    holder: dict[str, Tensor | None]
    name: str

    @property
    def held(self) -> Tensor:
        found = self.holder[self.name]
        assert found is not None
        return found


@dataclass(frozen=True)
class _Blank:
    """A module without storage, the parts of the biggest's weights that are its own, and the places for them.

    `written` are the places of buffers that a norm writes while it trains, and nobody reads.
    """

    module: nn.Module
    parts: dict[str, Cut]
    places: dict[str, _Place]
    written: dict[str, _Place]


def _places(model: nn.Module, prefix: str = "", *, of: str = "_parameters") -> dict[str, _Place]:
    """By full name, where each parameter of `model` is held, or each of its `_buffers`."""
    return {
        f"{path}.{name}" if path else name: _Place(holder, name)
        for path, module in model.named_modules(prefix=prefix)
        for holder in (getattr(module, of),)
        for name, tensor in holder.items()
        if tensor is not None
    }


@contextmanager
def _lent(places: dict[str, _Place], given: dict[str, Tensor]) -> Iterator[None]:
    """`given` in their places for a while, as `torch.func.functional_call` does, which looks for the places every time."""
    own = [place.held for place in places.values()]
    try:
        for name, place in places.items():
            place.holder[place.name] = given[name]
        yield
    finally:
        for place, tensor in zip(places.values(), own, strict=True):
            place.holder[place.name] = tensor


@lru_cache(maxsize=64)
def _network(space: Space, spec: ArchSpec, regularised: bool) -> _Blank:
    """A child of its ordinary units, each built once: random children seldom recur, their units always do, and making
    modules takes longer than a small child's step.
    """
    genes = space.genes(spec)
    whole = {node.path: node for node in plan(space.biggest())}
    units: dict[str, _Blank] = {}

    def unit(node: Node, style: Style) -> nn.Module:
        own = node if regularised else replace(node, drop_path=0.0)
        units[node.path] = _unit(own, whole[node.path], style, regularised)
        return units[node.path].module

    module = Model(space.spec(genes), unit)
    parts, places, written = (
        {name: value for unit in units.values() for name, value in getattr(unit, field).items()}
        for field in ("parts", "places", "written")
    )
    return _Blank(module, parts, places, written)


@lru_cache(maxsize=16384)
def _unit(node: Node, whole: Node, style: Style, regularised: bool) -> _Blank:
    """One unit of a child, under its names in the network."""
    unit = blank_unit(node, style)
    parts = cuts(unit, blank_unit(whole, style))
    for module in unit.modules():
        if (kept := running(module)) is not None:
            kept.by_batch()
        if not regularised and isinstance(module, (nn.Dropout, DropPath)):
            module.eval()
    written = _places(unit, node.path, of="_buffers")
    return _Blank(
        unit,
        {f"{node.path}.{name}": how for name, how in parts.items()},
        _places(unit, node.path) | written,
        written,
    )
