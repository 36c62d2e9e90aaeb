"""What every run folder holds beside its network: `config.json`, `data.json`, `latency.json`, `export.json`.

`scores.json` is `convsmith.scores.Scores`; what only a search has is in `search_records`, the lines of `metrics.jsonl` in
`lines`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, final

from ..arch import OwnPart
from ..machine import Machine
from ..scores import Metric
from ..units import Budget, Cost
from .record import Record

__all__ = [
    "Config",
    "CrossValidated",
    "Data",
    "Export",
    "Int8",
    "Latency",
    "Limit",
    "OwnParts",
    "Row",
    "Samples",
    "Skipped",
    "Stage",
    "met",
    "told_of",
]


# ---- config.json -----------------------------------------------------------------------------------------------------

# The runtime that milliseconds are of where nothing else is said.
USUAL_RUNTIME = "ort"


def told_of(device: str | None, runtime: str) -> str:
    """Whose milliseconds are told, to be set behind them: empty of the usual runtime on this machine.

    >>> told_of(None, "ort"), told_of(None, "openvino"), told_of("pi4", "litert")
    ('', ', in openvino', ', estimated for pi4, in litert')
    """
    for_it = "" if device is None else f", estimated for {device}"
    return for_it if runtime == USUAL_RUNTIME else f"{for_it}, in {runtime}"


@final
@dataclass(frozen=True)
class Limit(Record):
    """One part of a budget and what the network came to (`is` in the file).

    `estimated_for` is the device elsewhere whose milliseconds these are, None of what was counted or measured, and `runtime` the
    one that they are of.
    """

    limit: int | float
    actual: int | float
    estimated_for: str | None = None
    runtime: str = USUAL_RUNTIME

    @property
    def slack(self) -> float:
        """The share of the limit that is left; negative where the network is over it."""
        return 1 - self.actual / self.limit

    @property
    def whose(self) -> str:
        """Whose milliseconds these are (`told_of`)."""
        return told_of(self.estimated_for, self.runtime)

    def to_record(self) -> dict[str, Any]:
        own: dict[str, Any] = {"limit": self.limit, "is": self.actual, "slack": self.slack}
        own |= {} if self.estimated_for is None else {"estimated_for": self.estimated_for}
        return own if self.runtime == USUAL_RUNTIME else own | {"runtime": self.runtime}


def _limit(data: Any) -> Any:
    """A limit's data by the names of its fields: what the file calls `is` is no name that Python allows."""
    return {**data, "actual": data["is"]} if isinstance(data, Mapping) and "is" in data else data


def met(
    budget: Budget,
    cost: Cost,
    ms: float | None = None,
    estimated_for: str | None = None,
    runtime: str = USUAL_RUNTIME,
) -> dict[str, Limit]:
    """For each limit of the budget, what the network needs; milliseconds where they were measured in a runtime, or estimated for a
    device."""
    needs = {"macs": (budget.macs, cost.macs), "params": (budget.params, cost.params), "ms": (budget.ms, ms)}
    return {
        name: Limit(limit, own, estimated_for, runtime) if name == "ms" else Limit(limit, own)
        for name, (limit, own) in needs.items()
        if own is not None and math.isfinite(limit)
    }  # fmt: skip


@final
@dataclass(frozen=True)
class Stage(Record):
    """A row of the stage table (`arch.StageRow`)."""

    name: str
    what: str
    size: int
    depth: int
    width: int
    macs: int
    params: int
    stride: int | None = None
    activations: int | None = None
    sides: tuple[int, ...] = ()
    times: int = 1

    def left_out(self) -> Iterable[str]:
        return [name for name, usual in (("sides", not self.sides), ("times", self.times == 1)) if usual]


# What only a run with a network says, and what only a search says.
_OF_A_NETWORK = ("weights", "tensorboard", "budget", "base", "rule", "x", "met", "cost", "stages", "differences")
_OF_A_SEARCH = ("budgets", "how")


@final
@dataclass(frozen=True)
class Config(Record):
    """`config.json`: what was asked for and what was chosen. A search has `budgets` and `how`, and no network.

    `source` says where the data is (`jobs.source.Source`), `how` how a search looks (`SearchOptions`), `recipe` is a
    `Recipe` and `task` what the network is for, None where it classifies: as data here, since a report shows them whatever
    version wrote them.
    """

    verb: str = ""
    convsmith: str = ""
    started: str = ""
    name: str | None = None
    data: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    weights: str | None = None
    workers: int = 0
    tensorboard: bool = False
    command: str | tuple[str, ...] | None = None  # not known where a run was begun from Python
    budget: str | None = None
    base: str | None = None
    rule: str | None = None
    x: float | None = None
    met: Mapping[str, Limit] | None = None
    cost: Cost | None = None
    stages: tuple[Stage, ...] = ()
    budgets: tuple[str, ...] = ()
    how: Mapping[str, Any] | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    differences: tuple[str, ...] = ()
    machine: Machine | None = None
    threads: int | None = None
    runtime: str | None = None  # what its network is measured in, where that is not onnxruntime
    task: Mapping[str, Any] | None = None
    folds: int | None = None  # of a cross-validation, whose folds are run folders of their own
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_record(cls, data: Mapping[str, Any]) -> Self:
        if isinstance(met := data.get("met"), Mapping):
            data = {**data, "met": {name: _limit(one) for name, one in met.items()}}
        return super().from_record(data)

    def left_out(self) -> Iterable[str]:
        later = [name for name in ("threads", "runtime", "task", "folds") if getattr(self, name) is None]
        return (*(_OF_A_NETWORK if self.budgets else _OF_A_SEARCH), *later)


# ---- the other files -------------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True)
class Skipped(Record):
    """A file that is not part of the data, and why not."""

    path: str
    why: str


@final
@dataclass(frozen=True, kw_only=True)
class Data(Record):
    """`data.json`: what was trained on, by what it is known again, and what could not be read."""

    name: str
    classes: tuple[str, ...] = ()
    train: int
    val: int
    split: str = ""
    per_class: tuple[tuple[int, int], ...] = ()
    skipped: tuple[Skipped, ...] = ()
    mirror: bool = True
    fingerprint: str | None = None
    contents: str | None = None
    changed: tuple[str, ...] = ()  # when a resumed run was forced to take other data
    test: int = 0  # images of a test part that are left alone
    notes: tuple[str, ...] = ()  # what who trained on it was told of it
    individuals: tuple[int, ...] = ()  # to train on and to validate on, where it is known whose each image is
    points: bool = (
        False  # what are called classes are names of points, and `per_class` counts the pictures that show them
    )
    objects: tuple[int, ...] = ()  # in the pictures to train on and to validate on, where these have objects
    films: bool = False  # what is called images are films
    more: Mapping[str, Any] = field(default_factory=dict)

    def left_out(self) -> Iterable[str]:
        own = ("fingerprint", "contents", "changed", "test", "notes", "individuals", "points", "objects", "films")
        return [name for name in own if not vars(self)[name]]

    @property
    def what(self) -> str:
        """What one of them is called."""
        return "film" if self.films else "image"


@final
@dataclass(frozen=True)
class OwnParts(Record):
    """`parts.json`: where the parts of the user's own that the network is made of are written. Nothing runs them from there."""

    parts: tuple[OwnPart, ...]


@final
@dataclass(frozen=True)
class Samples(Record):
    """`samples.json`: some training images of each of some classes, as data URIs."""

    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class CrossValidated(Record):
    """Of `folds.json` the headline's mean over the folds, and the images that were validated, each of them once."""

    n: int
    mean: Metric


@final
@dataclass(frozen=True)
class Row(Record):
    """One network's latency: milliseconds per image."""

    name: str
    runtime: str
    threads: int
    batch: int
    median_ms: float
    p10_ms: float
    p90_ms: float
    n: int


@final
@dataclass(frozen=True)
class Latency(Record):
    """`latency.json`: a row a network, of a run one."""

    rows: tuple[Row, ...]
    rounds: int | None = None
    noise: float | None = None
    verdict: tuple[str, ...] = ()
    machine: Machine | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Export(Record):
    """`export.json`: the exported file, and how far its answers are from the network's."""

    file: str
    batch: str | int | None = None
    bytes: int
    opset: int | None = None
    folded: int | None = None
    max_abs_difference: float | None = None
    relative_difference: float | None = None
    tolerance: float | None = None
    n: int | None = None
    runtime: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Int8(Record):
    """`export_int8.json`: the file in eight bits beside the float one."""

    file: str
    bytes: int
    float_bytes: int
    size_ratio: float
    convolutions: int
    int8_convolutions: int
    top1: float
    float_top1: float
    n: int
    ms: float
    float_ms: float
    more: Mapping[str, Any] = field(default_factory=dict)
