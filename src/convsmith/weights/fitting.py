"""Weights onto a spec: whose names they carry, what must be adapted, and what to say when they do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..arch import ArchSpec, plan
from ..errors import UserError
from ..families import names as family_names
from ..families import spec as family_member
from ..families.inflated import flattened, over_time
from ..ledger import Numerics, published, weights_of
from ..parts.heads.classifier import PooledClassifier
from ..units import plural
from .inflating import inflate
from .maps import BEHIND, Dialect, State, names, renamed, shapes
from .origins import Origin
from .places import Found, found

__all__ = ["Fitted", "fitted", "onto"]

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Fitted:
    """A spec, and weights under our names that fit it. `fresh` are the keys that the file did not hold, left as built:
    the classifier, where another number of classes was asked for. `notes` are sentences on what was chosen and left out."""

    spec: ArchSpec
    state: State
    dialect: Dialect
    fresh: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def fitted(spec: ArchSpec, origin: Origin, *, classes: int | None = None, numerics: Numerics | None = None) -> Fitted:
    """The weights of `origin` for `spec`, whichever package named them, and whatever a script put before the names.

    Without `classes` the network takes the file's number of classes, so that nothing of it is lost. With another number
    the classifier is left as it was built, as timm does, and so is a head that the file does not hold. Another number of
    input channels than the file's: the first convolution's kernels are summed over colour for one channel, else repeated in
    turn and scaled by 3 / channels, so that a grey image gives what it gave before.

    The network computes what it does where the weights come from: padding, epsilon and how images are normalised are
    `numerics`, else what the origin says, else what the package that names its weights so has under the spec's name.

    Raises:
        UserError: the file is another network's; the first keys that differ are named, and the variant that would fit. Or
            its tensors are no weights: not dense, not finite, not of floating point.
    """
    if spec.input.frames and all(tensor.ndim < 5 for tensor in origin.state.values()):
        flat = fitted(flattened(spec), origin, classes=classes, numerics=numerics)
        whole = over_time(flat.spec, spec)
        notes = [
            f"{origin.label} is of a network for pictures: every frame is seen by it alone until training says otherwise"
        ]
        return replace(flat, spec=whole, state=inflate(flat.state, whole), notes=(*flat.notes, *notes))
    place = found(spec, origin.state)
    state, dialect = place.state, place.dialect
    theirs = names(spec, dialect)
    _refuse_odd(origin, place, theirs.values())
    state = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    if classes is None:
        spec = _of_as_many(spec, theirs, state)
    state |= {
        key: torch.zeros((), dtype=torch.int64)  # older files do not count their batches
        for key in theirs.values()
        if key.endswith("num_batches_tracked") and key not in state
    }
    own = shapes(spec)
    fresh = _fresh(spec, theirs, state)
    missing = [f"missing {key}" for ours, key in theirs.items() if key not in state and ours not in fresh]
    unknown = [f"unknown {key}" for key in sorted(state.keys() - set(theirs.values()))]
    ours = renamed(spec, state, dialect) if not missing else {}
    stem = _first_convolution(spec)
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
    known, of = _known(spec, origin, dialect)
    as_theirs = (numerics or Numerics()).over(origin.numerics.over(known)).applied(spec)
    notes = [*_left_out(origin, place), *_new_head(spec, fresh), *_differs(spec, as_theirs, of or origin.label)]
    kept = {key: tensor for key, tensor in ours.items() if key not in fresh}
    return Fitted(as_theirs, kept, dialect, fresh, tuple(notes))


def onto(fit: Fitted, spec: ArchSpec) -> Fitted:
    """The same weights for `spec`, made of `fit.spec` by another depth or another side: blocks that it has not are left.

    Raises:
        UserError: other widths, or whatever else makes weights of other shapes; with how many fit.
    """
    own = shapes(spec)
    kept = {key: tensor for key, tensor in fit.state.items() if key in own}
    shaped = [key for key, tensor in kept.items() if tensor.shape != own[key]]
    if shaped:
        raise UserError(
            f"{spec.name} cannot begin with the weights of {fit.spec.name}: {len(shaped)} of its {len(own)} tensors have other "
            f"shapes, {shaped[0]} first. A rule that changes only depth or resolution keeps the shapes (--rule resolution, "
            "--rule depth), and `convsmith pick --with-weights --to BUDGET` lists networks that have weights at their own size"
        )
    new = [key for key in own if key not in kept and key not in fit.fresh]
    said = f"{len(kept)} of {len(own)} tensors are taken from the weights of {fit.spec.name}"
    left = len(fit.state) - len(kept)
    said += f", {len(new)} are new" if new else ""
    said += f", {left} of blocks that it does not have are left" if left else ""
    return replace(fit, spec=spec, state=kept, fresh=(*fit.fresh, *new), notes=(*fit.notes, said))


def _fresh(spec: ArchSpec, theirs: dict[str, str], state: State) -> tuple[str, ...]:
    """The keys to leave as built: a classifier for other names than the file's, or as much of neck and head as it lacks."""
    named, head = _named(spec), tuple(key for key in theirs if key.startswith(BEHIND))
    held = [key for key in head if theirs[key] in state and not key.endswith("num_batches_tracked")]
    if not held:
        return head
    if not any(theirs[key] in state for key in named):
        return named
    own = shapes(spec)
    given = {key: len(state[theirs[key]]) for key in _telling(spec) if theirs[key] in state}
    return named if any(rows != own[key][0] for key, rows in given.items()) else ()


def _known(spec: ArchSpec, origin: Origin, dialect: Dialect) -> tuple[Numerics, str]:
    """What the package of that dialect has under the spec's name, and whose weights say so: those that the file is named
    after, else its default. Nothing where the ledger does not know it."""
    rows = weights_of(spec.name, package=dialect.value)
    if not rows:
        return Numerics(), ""
    tagged = [row for row in rows if row.tag and f"{row.model}.{row.tag}" in origin.label]
    row = max(tagged, key=lambda row: len(row.tag), default=rows[0])
    return row.numerics, f"{row.package}'s {row.model}" + (f".{row.tag}" if row.tag else "")


# ---- what is said ----


def _left_out(origin: Origin, place: Found) -> list[str]:
    if not place.others:
        return []
    begun = list(dict.fromkeys(key.removeprefix(place.beginning).split(".", 1)[0] for key in place.others))
    under = f"the weights under '{place.beginning}' are taken; " if place.beginning else ""
    shown = ", ".join(begun[:4]) + (", ..." if len(begun) > 4 else "")
    return [f"{origin.label}: {under}left out of it: {plural(len(place.others), 'tensor')} ({shown})"]


def _new_head(spec: ArchSpec, fresh: tuple[str, ...]) -> list[str]:
    if not fresh:
        return []
    if spec.neck is not None and any(key.startswith("neck.") for key in fresh):
        return [f"new behind the trunk: a {spec.neck.describe()}, and what finds {spec.head.describe()}"]
    if not isinstance(spec.head, PooledClassifier):
        if spec.neck is not None and fresh[0].startswith(BEHIND[0]):
            return [f"new are the neck, a {spec.neck.describe()}, and the head, {spec.head.describe()}"]
        return [
            f"new in the head, {spec.head.describe()}: {', '.join(dict.fromkeys(key.rpartition('.')[0] for key in fresh))}"
        ]
    what = "classifier" if fresh == _named(spec) else "head"
    return [f"the {what} is new, for {spec.n_names} classes"]


def _differs(spec: ArchSpec, now: ArchSpec, of: str) -> list[str]:
    """How the network that the weights were trained in differs from the one of that name here."""
    said = []
    before, after = (getattr(one.style.norm, "eps", None) for one in (spec, now))
    if before != after:
        said.append(f"an epsilon of {after:g} instead of {before:g}")
    if spec.style.conv != now.style.conv:
        said.append(f"{now.style.conv.padding} padding instead of {spec.style.conv.padding}")
    if spec.input != now.input:
        said.append(
            "images normalised by mean {} and deviation {}".format(*map(_numbers, (now.input.mean, now.input.std)))
        )
    return [f"{spec.name} is built as {of} is: {', '.join(said)}"] if said else []


def _numbers(values: tuple[float, ...]) -> str:
    shown = [f"{value:.3g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else f"({', '.join(shown)})"


# ---- what must be adapted ----


def _named(spec: ArchSpec) -> tuple[str, ...]:
    """The keys of weights whose shape the data's names fix."""
    return tuple(key for key in shapes(spec) if key.startswith(spec.head.named))


def _telling(spec: ArchSpec) -> tuple[str, ...]:
    """The first of these keys that has rows for each name, if there is one."""
    own, more = shapes(spec), shapes(spec.with_classes(spec.n_names + 1))
    return tuple(key for key in _named(spec) if own[key][:1] != more[key][:1])[:1]


def _of_as_many(spec: ArchSpec, theirs: dict[str, str], state: State) -> ArchSpec:
    """`spec` with its head for as many names as the file's, told by the weights: they have rows for each name."""
    n = spec.n_names
    for key in _telling(spec):
        rows, own = state.get(theirs[key]), shapes(spec)[key][0]
        each = shapes(spec.with_classes(n + 1))[key][0] - own
        others = own - n * each  # a background's, of a detector
        if rows is not None and len(rows) > others and not (len(rows) - others) % each:
            return spec.with_classes((len(rows) - others) // each)
    return spec


def _first_convolution(spec: ArchSpec) -> str:
    """Its key; empty where the stem has none, as a generator's."""
    return next((key for key, shape in shapes(spec).items() if key.startswith("stem.") and len(shape) >= 4), "")


def _for_channels(kernel: Tensor, channels: int) -> Tensor:
    """⟨O,C,...⟩ -> ⟨O,channels,...⟩."""
    own = kernel.shape[1]
    if channels == own:
        return kernel
    if channels == 1:
        return kernel.sum(1, keepdim=True)
    return kernel[:, torch.arange(channels) % own] * (own / channels)


# ---- what to say of what does not fit ----


def _refuse_odd(origin: Origin, place: Found, wanted: Iterable[str]) -> None:
    """Refuse tensors that hold no weights: none at all, other than dense ones, or numbers that no training gets over."""
    for key in wanted:
        tensor = place.state.get(key)
        if tensor is None:
            continue
        what = ""
        if tensor.is_meta:
            what = "a tensor without its numbers (on torch's meta device): save the network with its weights in memory"
        elif tensor.is_quantized:
            what = "quantised: save the network's weights before it was quantised"
        elif tensor.layout != torch.strided or tensor.is_nested:
            what = "a sparse tensor: save it with `.to_dense()`"
        elif not tensor.is_floating_point() and not key.endswith("num_batches_tracked"):
            what = f"of type {tensor.dtype}, and weights are floating-point numbers"
        elif tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
            what = "not finite: it holds NaN or infinity. Its training failed; take an earlier checkpoint"
        if what:
            raise UserError(f"{origin.label}: {place.beginning}{key} is {what}")


def _does_not_fit(spec: ArchSpec, origin: Origin, state: State, wrong: list[str]) -> str:
    shown = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    return f"{origin.label} does not fit {spec.name}: {shown}{_nearest_variant(spec, state)}"


def _nearest_variant(spec: ArchSpec, state: State) -> str:
    """The published network that has these shapes, but for the classifier's, else the one nearest in size."""
    linear = [tensor for tensor in state.values() if tensor.ndim == 2][-1:]
    trunk = sum(t.numel() for key, t in state.items() if not key.endswith(_STATISTICS))
    trunk -= sum(tensor.numel() + len(tensor) for tensor in linear)
    # The ledger's counts are of 1000 classes.
    sizes = {
        row.name: row.params - 1000 * (_features(family_member(row.name)) + 1) for row in published(task="classify")
    }
    near = sorted(sizes.keys() & set(family_names()), key=lambda name: abs(sizes[name] - trunk))[:8]
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
