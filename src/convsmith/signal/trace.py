"""Signal propagation of any network: `trace`."""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..errors import UserError
from ..layers import channels_last, running
from ..shown import Shown
from ..units import plural
from .moments import Moments
from .watch import Merged, Seen, watch

__all__ = ["Point", "Trace", "trace"]


MAGNIFIED = 1e4  # outputs of untrained networks are near 1


@dataclass(frozen=True)
class Point:
    """One place of a signal propagation plot: after residual merge `index` (from 1), or before the first (0).

    `branch` is the residual branch's average channel variance before the factor `factor` that it is added with; NaN where
    there is none or where it cannot be told which operand is the branch. `low` and `high` are the least and the largest
    variance of the draws.
    """

    index: int
    path: str
    out: Moments
    branch: float = math.nan
    branch_sqmean: float = math.nan
    factor: float = 1.0
    low: float = math.nan
    high: float = math.nan
    channels: int = 0
    side: int = 0
    skip_pooled: float = 1.0


@dataclass(frozen=True, repr=False)
class Trace(Shown):
    """What the signal did: `points` along the trunk, and everything seen of single layers in `draws`.

    `merges` is whether points are residual merges; a network without any has a point for each convolution instead.
    `source` says what went in and `statistics` how batch norms ran.
    `notes` say what could not be told, and what the points do not show.
    """

    name: str
    points: tuple[Point, ...]
    draws: tuple[Seen, ...]
    merges: bool
    source: str
    statistics: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {len(self.points)} points, {self.source}, {self.statistics}"

    @property
    def broken(self) -> str | None:
        """The first place that put out a number that is not finite."""
        return next((seen.broken for seen in self.draws if seen.broken is not None), None)


def trace(
    model: nn.Module | Callable[[int], nn.Module],
    images: Tensor | None = None,
    *,
    input_shape: tuple[int, ...] = (3, 224, 224),
    batch: int = 4,
    draws: int = 2,
    trained: bool | None = None,
    branches_on: bool = False,
    name: str | None = None,
    seed: int = 0,
) -> Trace:
    """The signal propagation of `model`: average channel squared mean and variance after each residual merge, and the
    variance of each branch before it (Brock et al., 2021), means over `draws`.

    `model` is any module, which is copied and left as it was, or a function from seeds to modules, for new weights in
    each draw. `images` ⟨N,C,H,W⟩ go in, or `batch` of unit Gaussian noise of `input_shape`, new in each draw. Dropout and
    dropped paths are off. Batch norms use the batch's statistics where they were never trained, their own where they were;
    `trained` decides otherwise. `branches_on` sets scales that training starts at 0 to 1 (SkipInit's, the last norm's of a
    branch), so that the branches can be seen.

    Raises `UserError` where the network does not take such images.
    """
    make = (lambda _: copy.deepcopy(model)) if isinstance(model, nn.Module) else model
    seen: list[Seen] = []
    stem: str | None = None
    how = ""
    for draw in range(max(1, draws if images is None or not isinstance(model, nn.Module) else 1)):
        module, how = _ready(make(seed + draw), trained, branches_on=branches_on)
        label = name or type(module).__name__
        if draw == 0:
            one = _images(images, input_shape, 2, seed)
            events = _pass(module, one, None, label).events
            stem = next((event.path for event in events if isinstance(event, Merged)), "") or None
        seen.append(_pass(module, _images(images, input_shape, batch, seed + 1 + draw), stem, label))
    points, merges, notes = _points(seen)
    source = (
        plural(len(images), "image") if images is not None else f"unit Gaussian noise, {batch} of {_sides(input_shape)}"
    )
    notes += _magnified(make(seed).eval(), _images(images, input_shape, 2, seed))
    return Trace(label, points, tuple(seen), merges, source, how, notes)


@torch.no_grad()
def _magnified(module: nn.Module, images: Tensor) -> tuple[str, ...]:
    """A note where what the network puts out, as it stands, is magnified."""
    outs = (
        out for out in tree_leaves(module.cpu().float()(images)) if isinstance(out, Tensor)
    )  # what is found is none
    largest = max((float(out.abs().max()) for out in outs), default=0.0)
    if largest < MAGNIFIED:
        return ()
    return (
        f"in evaluation, by the statistics that its norms have now, its outputs reach {largest:.1e}: rounding is magnified "
        "with them, and another runtime's answers differ by more than usual; training settles both",
    )


def _pass(module: nn.Module, images: Tensor, stem: str | None, label: str) -> Seen:
    try:
        return watch(module, images, stem=stem)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{label} does not take images of {_sides(tuple(images.shape[1:]))}: {reason}") from error


def _images(images: Tensor | None, shape: tuple[int, ...], batch: int, seed: int) -> Tensor:
    if images is not None:
        images = images.to("cpu", torch.float32)  # as `_ready` makes the module
        return images[:batch] if batch == 2 else images
    noise = torch.randn((batch, *shape), generator=torch.Generator().manual_seed(seed))
    return channels_last(noise)


def _ready(module: nn.Module, trained: bool | None, *, branches_on: bool) -> tuple[nn.Module, str]:
    channels_last(module.eval().requires_grad_(False).cpu().float())
    norms = {one: kept for one in module.modules() if (kept := running(one)) is not None}
    own = trained
    if own is None:
        own = any(not kept.untouched() for kept in norms.values())
    if not own:
        for one in norms:
            one.train()
    if branches_on:
        _switch_on(module)
    if not norms:
        return module, "no batch norms"
    return module, "batch norms with their own statistics" if own else "batch norms with the batch's statistics"


def _switch_on(module: nn.Module) -> None:
    """1 for every scale that starts at 0: SkipInit's scalar, a norm's weight, a standardised filter's gain."""
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            scale = parameter.ndim == 0 or name.endswith("gain") or (parameter.ndim == 1 and name == "weight")
            if scale and not bool(parameter.any()):
                parameter.data.fill_(1.0)


def _points(seen: list[Seen]) -> tuple[tuple[Point, ...], bool, tuple[str, ...]]:
    notes: list[str] = []
    each = [[event for event in one.events if isinstance(event, Merged)] for one in seen]
    if not each[0]:
        notes.append("no two maps are added anywhere, so points are the outputs of convolutions")
        return _without_merges(seen), False, tuple(notes)
    unsure = [event.path for event in each[0] if event.branch is None]
    if unsure:
        notes.append(
            f"at {len(unsure)} of {len(each[0])} merges both operands are behind as many convolutions, so which is the "
            f"branch cannot be told (first: {unsure[0] or 'the network itself'})"
        )
    points: list[Point] = []
    stems = [one.stem for one in seen if one.stem is not None]
    if stems:
        points.append(
            Point(0, "stem", Moments.average(stems), low=min(s.var for s in stems), high=max(s.var for s in stems))
        )
    for index, same in enumerate(zip(*each, strict=True), start=1):
        first, outs = same[0], [event.out for event in same]
        branches = [event.branch for event in same if event.branch is not None]
        of_branch = Moments.average(branches) if branches else Moments(math.nan, math.nan)
        points.append(
            Point(
                index,
                first.path,
                Moments.average(outs),
                of_branch.var,
                of_branch.sqmean,
                statistics.mean(event.factor for event in same),
                min(out.var for out in outs),
                max(out.var for out in outs),
                first.channels,
                first.side,
                first.skip_pooled,
            )
        )
    return tuple(points), True, tuple(notes)


def _without_merges(seen: list[Seen]) -> tuple[Point, ...]:
    from .watch import Convolved

    each = [[event for event in one.events if isinstance(event, Convolved) and event.side > 1] for one in seen]
    points = []
    for index, same in enumerate(zip(*each, strict=True), start=1):
        outs = [event.out for event in same]
        low, high = min(out.var for out in outs), max(out.var for out in outs)
        points.append(Point(index, same[0].path, Moments.average(outs), low=low, high=high, side=same[0].side))
    return tuple(points)


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)
