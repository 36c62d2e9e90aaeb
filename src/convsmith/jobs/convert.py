"""Conversion of whatever a name stands for to another norm, with the signal before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..ambient import undisturbed
from ..arch import Act, ArchSpec, Norm
from ..errors import UserError
from ..files import check_writable, whole, write_text
from ..layers import GroupNorm2d
from ..model import build
from ..parts import GroupNorm
from ..resolve import target_of
from ..runs import RunFolder
from ..signal import Trace, trace
from ..surgery import operate, restyled, wanted, word_of
from ..watcher import Watcher

__all__ = ["Conversion", "convert", "writable", "write"]

_IMAGES = 8
_TOLD = 4  # widths that are named


@dataclass(frozen=True)
class Conversion:
    """A converted network: its spec where it has one, the module in any case, and its signal before and after. `norm` is a word
    for what it was given.

    `left` are norms that stayed, with the reason; `difference` the largest change of an output over the outputs' deviation,
    where the function was to be kept.
    """

    norm: str
    spec: ArchSpec | None
    module: nn.Module
    before: Trace
    after: Trace
    replaced: int
    left: tuple[tuple[str, str], ...]
    difference: float | None
    input_shape: tuple[int, ...]

    @property
    def says(self) -> str:
        if self.spec is not None:
            return f"the spec {self.spec.name}: every norm is in its style, so nothing is left{self._groups}"
        kept = (
            "" if self.difference is None else f"; outputs differ by at most {self.difference:.2g} of their deviation"
        )
        return f"{self.replaced} norms replaced, {len(self.left)} left{kept}{self._groups}"

    @property
    def _groups(self) -> str:
        """Which widths could not have the groups that group norm wishes for."""
        if self.norm != "group":
            return ""
        wish = GroupNorm().groups
        found = {norm.num_channels: norm.num_groups for norm in self.module.modules() if isinstance(norm, GroupNorm2d)}
        odd = [f"{found[width]} for {width} channels" for width in sorted(found) if found[width] != wish]
        more = ", ..." if len(odd) > _TOLD else ""
        return f"; {wish} groups where that divides the width, else {', '.join(odd[:_TOLD])}{more}" if odd else ""

    def to_record(self) -> dict[str, Any]:
        signals = {
            when: {"variance": [p.out.var for p in one.points], "squared_mean": [p.out.sqmean for p in one.points]}
            for when, one in (("before", self.before), ("after", self.after))
        }
        left = [{"module": name, "why": why} for name, why in self.left]
        return {"norm": self.norm, "spec": None if self.spec is None else self.spec.name, "replaced": self.replaced,
                "left": left, "difference": self.difference, "signal": signals}  # fmt: skip


@undisturbed()
def convert(
    model: str | Path | ArchSpec | RunFolder | nn.Module,
    norm: str | Path | Norm,
    *,
    act: str | None = None,
    live: bool = False,
    keep_function: bool = False,
    resolution: int | None = None,
    seed: int = 0,
    watcher: Watcher | None = None,
) -> Conversion:
    """`model` with `norm` in the place of its batch norms. A spec becomes a spec; a run, a foreign network or a module
    becomes a module with its weights, as `surgery.operate` says. `live` builds a spec first. A module without a spec is shown
    three channels of 224 px, or of `resolution`, which the watcher is told. `norm` is a name (`surgery.NORMS`, `graphs.KNOWN`), a
    norm as a part, or the JSON file of one, such as a search for a layer writes.

    >>> convert("resnetv2_50", "nf", resolution=32).spec.stages[0].block.kind
    'nf_bottleneck'

    Raises:
        UserError: what cannot be converted, or a run that has no weights yet.
    """
    if resolution is not None and resolution < 1:
        raise UserError(f"the resolution must be at least 1; got {resolution}")
    given = wanted(norm)
    word = word_of(given)
    target = target_of(model)
    if target.onnx is not None:
        raise UserError(
            f"{target.label} is an ONNX file, which holds no modules to replace; give the network it came from"
        )
    if target.given():
        raise UserError(
            f"{target.label} reads more than images, and what a change of its norms does to its signal is not traced; begin anew "
            "with another norm: spec.with_style(norm=cs.EvoNorm())"
        )
    if watcher is not None and (said := target.assumed(resolution)):
        watcher.note(said)
    name, shape = target.label, target.input_shape(resolution)
    spec = target.spec if target.run is None and target.live is None else None
    module = None if spec is not None else target.module()
    if spec is not None:
        spec = spec if resolution is None else spec.with_resolution(resolution)
        shape = spec.input.shape.dims
        module = build(spec, seed=seed)
    assert module is not None

    def traced(network: nn.Module, label: str) -> Trace:
        return trace(network, input_shape=shape, draws=1, seed=seed, name=label, branches_on=True)

    if spec is not None and not live and not keep_function:
        made = restyled(spec, given, None if act is None else Act(act))
        new = build(made, seed=seed)
        return Conversion(word, made, new, traced(module, name), traced(new, made.name), 0, (), None, shape)
    if act is not None:
        raise UserError("--act is for specs: a live network keeps its activations")
    before = traced(module, name)  # first, since it says in words what images the network does not take
    images = torch.randn((_IMAGES, *shape), generator=torch.Generator().manual_seed(seed))
    done = operate(module, given, images=images, keep_function=keep_function, name=name)
    after = traced(done.module, f"{name}, {word}")
    return Conversion(word, None, done.module, before, after, done.replaced, done.left, done.difference, shape)


def writable(path: Path, *, spec: bool) -> None:
    """Refuse, before any work, a place that `write` could not write to; `spec` where there may be one."""
    if path.suffix not in ((".json", ".pt2") if spec else (".pt2",)):
        kinds = "a .json for the spec, or a .pt2" if spec else "a .pt2"
        raise UserError(f"{path}: a converted network is written to {kinds}")
    check_writable(path)


def write(found: Conversion, path: Path) -> None:
    """The spec as `.json`, or the live network as a `.pt2` that `torch.export.load` reads without this package."""
    writable(path, spec=found.spec is not None)
    if found.spec is not None and path.suffix == ".json":
        write_text(path, found.spec.to_json())
        return
    batch = torch.zeros((2, *found.input_shape))
    program = torch.export.export(found.module.eval(), (batch,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    with whole(path) as temporary, temporary.open("wb") as file:
        torch.export.save(program, file)
