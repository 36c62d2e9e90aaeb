"""Diagnosis of any network that a name stands for: its trace, the theory beside it, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ..ambient import undisturbed
from ..arch import ArchSpec
from ..data import ImageData
from ..errors import UserError
from ..model import build
from ..resolve import resolve, target_of
from ..runs import RunFolder
from ..shown import Shown
from ..signal import Expectation, Trace, Verdict, expected, trace, verdict
from ..watcher import Watcher
from .feed import samples_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Diagnosis", "diagnose", "images_of"]


@dataclass(frozen=True, repr=False)
class Diagnosis(Shown):
    """A trace, what theory expects where it can tell, and the verdict."""

    trace: Trace
    theory: tuple[Expectation, ...] | None
    verdict: Verdict

    def __str__(self) -> str:
        return "\n".join((f"{self.trace.name}: {self.verdict}", *map(str, self.verdict.findings)))

    @property
    def theory_error(self) -> float | None:
        """The largest departure of the variance from theory, as a factor above 1; None without a theory."""
        if self.theory is None:
            return None
        found = {point.path: point.out for point in self.trace.points if point.index}
        pairs = [(found[one.path].var, one.var) for one in self.theory if one.path in found and math.isfinite(one.var)]
        ratios = [max(a / b, b / a) for a, b in pairs if a > 0 and b > 0]
        return max(ratios) if ratios else None

    def plot(self) -> Figure:
        """The signal propagation plot, theory in it where there is one: a matplotlib figure."""
        from ..reports.propagation import signal_plot

        return signal_plot([self.trace], self.theory)

    def _repr_html_(self) -> str:
        """The verdict and the plot, for notebooks."""
        from ..plot import svg

        found = self.verdict
        said = [f"<b>{escape(str(found))}</b>", *(f"<br>{escape(str(one))}" for one in found.findings)]
        return "".join(said) + svg(self.plot())


@undisturbed()
def diagnose(
    model: str | Path | ArchSpec | RunFolder | nn.Module,
    *,
    images: Tensor | None = None,
    resolution: int | None = None,
    draws: int = 2,
    branches_on: bool = False,
    seed: int = 0,
    watcher: Watcher | None = None,
) -> Diagnosis:
    """The signal propagation of `model` and what is wrong with it: for whatever MODEL may name, a spec, or any module.

    A spec is built anew in each draw; a run, a foreign network or a module is taken with its weights. `images` ⟨N,C,H,W⟩,
    normalised as the network wants them, replace unit Gaussian noise of the network's own resolution and channels. A module
    without a spec is shown three channels of 224 px, or of `resolution`, which the watcher is told.

    >>> str(diagnose("tinynet_e", resolution=64).verdict)
    'nothing is wrong with the signal'
    """
    if resolution is not None and resolution < 1:
        raise UserError(f"the resolution must be at least 1; got {resolution}")
    spec, module, name, shape = _subject(model, resolution, watcher or Watcher())
    make: nn.Module | Callable[[int], nn.Module] = (lambda s: build(spec, seed=s)) if spec is not None else module
    found = trace(
        make,
        images,
        input_shape=shape,
        draws=draws,
        branches_on=branches_on,
        name=name,
        seed=seed,
    )
    # Theory speaks of branches that are on, of the spec's own initialisation.
    theory = None
    if spec is not None and not any(point.branch == 0 or point.factor == 0 for point in found.points):
        theory = expected(spec)
    return Diagnosis(found, theory, verdict(found))


def _subject(
    model: str | Path | ArchSpec | RunFolder | nn.Module, resolution: int | None, watcher: Watcher
) -> tuple[ArchSpec | None, nn.Module, str, tuple[int, ...]]:
    """(the spec to draw from, or the module as it is; its name; the shape of an image)."""
    target = target_of(model)
    if target.onnx is not None:
        raise UserError(
            f"{target.label} is an ONNX file, whose inner maps cannot be seen; give the network it came from"
        )
    if target.given():
        raise UserError(
            f"{target.label} reads more than images: its signal is not traced, and no theory here speaks of it"
        )
    if said := target.assumed(resolution):
        watcher.note(said)
    shape = target.input_shape(resolution)
    if target.spec is not None and target.run is None and target.live is None:
        return target.spec.with_resolution(shape[-2]), nn.Identity(), target.label, shape
    return None, target.module(), target.label, shape


@undisturbed()
def images_of(model: str | Path, images: ImageData, resolution: int | None = None) -> Tensor:
    """Sixteen validation images as the network `model` names wants them; a foreign one as ImageNet's are normalised."""
    target = resolve(model)
    chosen = target.spec if target.spec is not None else resolve("resnet50").spec
    assert chosen is not None
    found = samples_of(chosen.with_resolution(target.input_shape(resolution)[-2]), images)
    if isinstance(found, tuple):
        raise UserError(f"{target.label} is not shown images")
    return found
