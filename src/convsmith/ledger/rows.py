"""The ledger: every published variant, our exact counts beside the published ones.

`golden/ledger.csv` holds one row a variant and resolution. `params` and `macs` are exact and asserted against our own
count to the unit; the paper's columns stand as published, with their unit and source. A count within the published one's own
rounding, or within 1 %, agrees with it; any other carries its reason. `golden/stages.csv` holds the table of stages of each
variant at its own resolution. Reading the ledger imports no torch, and the language of specs only where stages are asked for.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from ..errors import UserError, nearest
from ..units import count

if TYPE_CHECKING:
    from ..arch import StageRow

__all__ = ["INFLATED", "TOLERANCE", "Printed", "Row", "Verdict", "families", "published", "stages_of", "unknown_model"]

TOLERANCE = 0.01
INFLATED = "inflated:"  # before the name of a network for pictures: the same for clips


class Verdict(StrEnum):
    """How our counts stand to the published ones, by the worst of them."""

    EXACT = "as published"  # within half of the last digit that is published
    CLOSE = "within 1 %"
    DIFFERS = "differs"
    SILENT = "not published"


@dataclass(frozen=True)
class Printed:
    """A number as a paper prints it: `0.39B` stands for 0.39e9, known to half of its last digit."""

    text: str

    @property
    def value(self) -> int:
        return count(self.text)

    @property
    def half_step(self) -> float:
        digits = self.text.rstrip("kMGBT")
        decimals = len(digits.partition(".")[2])
        return count(f"1{self.text[len(digits) :]}") / (2.0 * 10.0**decimals)

    def difference(self, ours: int) -> float:
        """Our count over the published one, minus one."""
        return ours / self.value - 1

    def exact(self, ours: int) -> bool:
        """Within the rounding of the published number."""
        return abs(ours - self.value) <= self.half_step

    def agrees(self, ours: int) -> bool:
        """Within the rounding of the published number, or within 1 %."""
        return self.exact(ours) or abs(ours - self.value) <= TOLERANCE * self.value


@dataclass(frozen=True)
class Row:
    """One published variant at one resolution. `unit` is what the source calls a multiply-add: `MACs` or `2xMACs`.

    `task` is what the network is for, of clips `video`, and `frames` how long these are; `per` what of one image the counts are
    of beside the image itself ("1000 regions"), and `metric` what the source says it reaches, of tasks whose figure is no top-1.
    """

    name: str
    family: str
    resolution: int
    params: int
    macs: int
    paper_params: Printed | None
    paper_macs: Printed | None
    unit: str
    paper_top1: float | None
    source: str
    reason: str
    task: str = "classify"
    per: str = ""
    metric: str = ""
    frames: int = 0

    @property
    def classes(self) -> int:
        """How many kinds the counts are of: ImageNet's, COCO's, Kinetics-400's; of generators below 64 px those of CIFAR-10."""
        if self.task == "synthesise":
            return 1000 if self.resolution >= 64 else 10
        return {"detect": 90, "video": 400}.get(self.task, 1000)

    @property
    def px(self) -> str:
        """The size of its input in words, as that of a network: `224`, or `32x224` of clips."""
        return f"{self.frames}x{self.resolution}" if self.frames else str(self.resolution)

    def differences(self) -> Iterator[tuple[str, Printed, int]]:
        """(field, print, ours) for each count that the paper prints, in the paper's unit."""
        if self.paper_params:
            yield "params", self.paper_params, self.params
        if self.paper_macs:
            yield "macs", self.paper_macs, self.macs * (2 if self.unit == "2xMACs" else 1)

    @property
    def agrees(self) -> bool:
        """Whether every printed count agrees with ours."""
        return all(printed.agrees(ours) for _, printed, ours in self.differences())

    @property
    def verdict(self) -> Verdict:
        """The worst of this row's agreements."""
        prints = [(printed, ours) for _, printed, ours in self.differences()]
        if not prints:
            return Verdict.SILENT
        if all(printed.exact(ours) for printed, ours in prints):
            return Verdict.EXACT
        return Verdict.CLOSE if self.agrees else Verdict.DIFFERS


@cache
def _rows() -> tuple[Row, ...]:
    """Every row, family by family."""
    text = resources.files("convsmith").joinpath("golden/ledger.csv").read_text(encoding="utf-8")
    return tuple(_row(record) for record in csv.DictReader(text.splitlines()))


def stages_of(name: str) -> tuple[int, tuple[StageRow, ...]] | None:
    """The side in pixels and the table of stages of a published network as its name has it, with 1,000 classes."""
    text = resources.files("convsmith").joinpath("golden/stages.csv").read_text(encoding="utf-8")
    records = [record for record in csv.DictReader(text.splitlines()) if record["network"] == name]
    return (int(records[0]["px"]), tuple(map(_stage, records))) if records else None


def unknown_model(text: str) -> UserError:
    """The error of a MODEL that names nothing."""
    names = {row.name for row in _rows()}
    bare, _, tag = text.removeprefix("hf-hub:timm/").partition(".")
    if tag and bare in names:
        return UserError(
            f"'{text}' is a set of timm's weights, not a network: MODEL is {bare}, and --weights timm:{bare}.{tag} begins with "
            f"these (in Python weights='timm:{bare}.{tag}')"
        )
    return UserError(
        f"unknown model '{text}'{nearest(text, names)}\n"
        "MODEL is a name (`convsmith list`), a spec .json, a run folder, an .onnx file, timm:NAME, tv:NAME or, for clips, "
        "inflated:NAME"
    )


def families(task: str | None = None) -> tuple[str, ...]:
    """Every family that has a row, in the ledger's order; of networks for a task, where it is given."""
    return tuple(dict.fromkeys(row.family for row in _rows() if task in (None, row.task)))


def published(pattern: str = "*", *, family: str | None = None, task: str | None = None) -> tuple[Row, ...]:
    """The rows whose name matches a shell pattern (`resnet*`), or holds it as a part; `task` is `classify`, `detect` or `video`."""
    wanted = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    named = (row for row in _rows() if fnmatchcase(row.name, wanted))
    return tuple(row for row in named if family in (None, row.family) and task in (None, row.task))


def _stage(record: dict[str, str]) -> StageRow:
    from ..arch import StageRow

    size, depth, width, stride, macs, params, activations = (
        int(record[field]) for field in ("size", "depth", "width", "stride", "macs", "params", "activations")
    )
    return StageRow(record["name"], record["what"], size, depth, width, stride, macs, params, activations)


def _row(record: dict[str, str]) -> Row:
    def printed(field: str) -> Printed | None:
        return Printed(record[field]) if record[field] else None

    return Row(
        name=record["name"],
        family=record["family"],
        resolution=int(record["resolution"]),
        params=int(record["params"]),
        macs=int(record["macs"]),
        paper_params=printed("paper_params"),
        paper_macs=printed("paper_macs"),
        unit=record["paper_unit"],
        paper_top1=float(record["paper_top1"]) if record["paper_top1"] else None,
        source=record["source"],
        reason=record["reason"],
        task=record["task"] or "classify",
        per=record["per"] or "",
        metric=record["metric"] or "",
        frames=int(record["frames"] or 0),
    )
