"""What norms, lambda layers, pyramids and scaling are worth under a detector, on drawn scenes of digits.

    python bench/detection.py --runs FOLDER [--studies norms,lambda,pyramid,scaling] [--seeds 0,1,2] [--epochs 6] [--to 60ms]
                              [--data digit-scenes] [--set KEY=VALUE]...
    python bench/detection.py --runs FOLDER --merge

- norms: batch norm, EvoNorm-S0 and group norm everywhere, from scratch, at two pictures a step;
- lambda: a trunk of bottlenecks whose last two stages mix by lambda layers instead of 3x3 convolutions, its width chosen so that
  the whole detector has as many multiply-adds;
- pyramid: SpineNet's graph against a feature pyramid on a plain trunk, with the same levels and heads and as many multiply-adds;
- scaling: one detector brought to the same milliseconds by scaling trunk, pyramid, heads and picture together, or the trunk alone,
  which is a tenth of its multiply-adds: to less than heads take no trunk is small enough, and then the row says so.

An arm and a seed are a piece of work, of ten minutes or so on one thread. Several processes can share FOLDER with other studies or
seeds each. What is done is a line of `rows.jsonl` there and is not done again; a training that was stopped goes on. `--merge` makes
`results/detection.json` of all lines.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, final

import torch

import convsmith as cs
from common import Row, save
from convsmith.api.verbs import train
from convsmith.arch import ArchSpec, Stage
from convsmith.errors import BudgetError
from convsmith.evals.intervals import student
from convsmith.jobs.folders import resume
from convsmith.jobs.options import Options
from convsmith.parts import BasicBlock, BatchNorm, Bottleneck, ConvStem, EvoNorm, EvoNormKind, GroupNorm, Lambda
from convsmith.parts import SpineNet as Spine
from convsmith.runs import RunFolder
from convsmith.scaling import Compound, Rule
from convsmith.tasks.detect import measured
from pretraining import numbers

SIDE, CLASSES = 128, 10
MEASURES = ("mask_ap", "box_ap")
# The heads of a small canvas, on levels from stride 8 on: anchors of 24 pixels and more.
HEADS: dict[str, Any] = {"low": 3, "high": 7, "scale": 3.0}
SMALLEST, LARGEST = 0.2, 5.0  # of a trunk's width, where it is to cost as much as another
CLOSE = 0.01


# ---- networks --------------------------------------------------------------------------------------------------------


def trunk(block: BasicBlock | Bottleneck, depth: int = 2) -> ArchSpec:
    """Four stages at strides 4 to 32, 32 to 128 wide, behind a stem of 24: small enough for two cores, as a classifier."""
    widths = (32, 64, 96, 128)
    return replace(
        cs.spec("resnet18").with_resolution(SIDE).with_classes(CLASSES),
        name="small", stem=ConvStem(width=24), stages=tuple(Stage(block, depth, width, 2) for width in widths),
    )  # fmt: skip


def detector(spec: ArchSpec, **choices: Any) -> ArchSpec:
    return cs.detector(spec, CLASSES, **{**measured(spec), **choices})


def normed(norm: BatchNorm | EvoNorm | GroupNorm) -> ArchSpec:
    return detector(trunk(BasicBlock()).with_style(norm=norm))


def convolved() -> ArchSpec:
    return detector(trunk(Bottleneck(ratio=0.5)))


def mixed(width: float) -> ArchSpec:
    spec = cs.grown(trunk(Bottleneck(ratio=0.5)), width=width, rounding=cs.Rounding(width_to=4))
    for stage in (2, 3):
        spec = spec.with_mixer(stage, Lambda(key=8, heads=4, scope=7))
    return detector(spec)


def pyramid() -> ArchSpec:
    return detector(trunk(BasicBlock()), **HEADS)


def spine(width: float) -> ArchSpec:
    """Its blocks 16, 32 and 64 wide by level, times `width`, on the trunk of two stages of its own."""
    first, second, third = (max(8, 8 * round(width * own / 8)) for own in (16, 32, 64))
    plain = trunk(BasicBlock())
    head = measured(plain)
    neck = Spine(widths=(first, second, third), ends=head["width"])
    stages = tuple(Stage(Bottleneck(), 1, 4 * first, 1) for _ in range(2))
    stem = ConvStem(width=24, stride=2, pool=True)
    own = {name: value for name, value in HEADS.items() if name not in ("low", "high")}
    return detector(replace(plain, stem=stem, stages=stages, neck=neck), **own)


def as_dear(make: Callable[[float], ArchSpec], other: ArchSpec) -> ArchSpec:
    """The network of a line whose multiply-adds are nearest to another's, by bisection of its width."""
    wanted, low, high = cs.cost(other).macs, SMALLEST, LARGEST
    found = []
    for _ in range(10):
        middle = (low * high) ** 0.5
        spec = make(middle)
        found.append(spec)
        low, high = (middle, high) if cs.cost(spec).macs < wanted else (low, middle)
    nearest = min(found, key=lambda spec: abs(cs.cost(spec).macs - wanted))
    if abs(cs.cost(nearest).macs / wanted - 1) > CLOSE:
        raise SystemExit(f"no {nearest.name} costs within {CLOSE:.0%} of {wanted / 1e6:.1f}M MACs")
    return nearest


@final
@dataclass(frozen=True)
class TrunkAlone(Rule):
    """Compound scaling of the stem's and the stages' depth and width; pyramid, heads and picture stay."""

    kind: ClassVar[str] = "trunk-alone"
    neutral: ClassVar[float] = Compound.neutral
    least: ClassVar[float] = Compound.least
    most: ClassVar[float] = Compound.most

    def __call__(self, base: ArchSpec, x: float) -> ArchSpec:
        grown = Compound(gamma=1.0)(base, x)
        return replace(base, stem=grown.stem, stages=grown.stages)

    def describe(self, x: float) -> str:
        return Compound(gamma=1.0).describe(x)


def brought_to(to: str, rule: Rule) -> ArchSpec:
    return cs.scale(detector(trunk(BasicBlock())), to=to, rule=rule).spec


# ---- studies ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Study:
    """Arms by name, the first the one that others are held against, and the pictures of a step."""

    what: str
    batch: int
    arms: dict[str, Callable[[str], ArchSpec]]


STUDIES = {
    "norms": Study("two pictures a step", 2, {
        "batch norm": lambda to: normed(BatchNorm()),
        "EvoNorm-S0": lambda to: normed(EvoNorm(variant=EvoNormKind.S0, groups=8)),
        "group norm": lambda to: normed(GroupNorm(groups=8)),
    }),
    "lambda": Study("as many multiply-adds", 8, {
        "convolutions": lambda to: convolved(),
        "lambda layers": lambda to: as_dear(mixed, convolved()),
    }),
    "pyramid": Study("as many multiply-adds", 8, {
        "feature pyramid": lambda to: pyramid(),
        "SpineNet's graph": lambda to: as_dear(spine, pyramid()),
    }),
    "scaling": Study("the same milliseconds", 8, {
        "all together": lambda to: brought_to(to, Compound()),
        "trunk alone": lambda to: brought_to(to, TrunkAlone()),
    }),
}  # fmt: skip


@dataclass(frozen=True)
class Piece:
    study: str
    arm: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.study}-{self.arm}-seed{self.seed}".replace(" ", "-").replace("'", "")


def pieces(asked: argparse.Namespace) -> Iterator[Piece]:
    """Seed by seed, so that there is something of everything early."""
    for seed in asked.seeds:
        for study in asked.studies:
            for arm in STUDIES[study].arms:
                yield Piece(study, arm, seed)


def lines(runs: Path) -> list[dict[str, Any]]:
    path = runs / "rows.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def measure(asked: argparse.Namespace) -> None:
    asked.runs.mkdir(parents=True, exist_ok=True)
    for piece in pieces(asked):
        if any(
            (row["study"], row["arm"], row["seed"]) == (piece.study, piece.arm, piece.seed) for row in lines(asked.runs)
        ):
            continue
        began = time.process_time()
        try:
            run = done(piece, asked)
        except BudgetError as error:  # also an answer: no trunk is small enough
            row = vars(piece) | {"failed": str(error)}
        else:
            row = vars(piece) | told(run, asked) | {"cpu_s": round(time.process_time() - began, 1)}
        with (asked.runs / "rows.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(piece.name, {name: round(row[name][0], 3) for name in MEASURES if name in row} or row, flush=True)


def done(piece: Piece, asked: argparse.Namespace) -> RunFolder:
    """Its run, finished, whatever was done of it before."""
    if (asked.runs / piece.name / "config.json").exists():
        return resume(asked.runs / piece.name)
    study = STUDIES[piece.study]
    options = Options(
        recipe="detect-scratch", settings=(f"epochs={asked.epochs}", f"batch={study.batch}", *asked.set), seed=piece.seed,
        name=piece.name, parent=asked.runs, device="cpu",
    )  # fmt: skip
    spec = _spec(piece.study, piece.arm, asked.to)
    return train(spec, asked.data, resolution=spec.input.resolution, options=options)


@cache
def _spec(study: str, arm: str, to: str) -> ArchSpec:
    return STUDIES[study].arms[arm](to)


def told(run: RunFolder, asked: argparse.Namespace) -> dict[str, Any]:
    """COCO's AP with its interval over pictures, what it cost, and by which recipe."""
    cost, scores = cs.cost(run.spec), run.scores
    values = {one.name: [one.value, *(one.interval or ())] for one in scores.metrics if one.name in MEASURES}
    return values | {
        "n": scores.n,
        "steps": run.epochs[-1].step,
        "macs": cost.macs,
        "params": cost.params,
        "ms": run.latency.rows[0].median_ms,
        "sides": list(run.spec.input.sides),
        "settings": [f"epochs={asked.epochs}", *asked.set],
        "to": asked.to,
    }


# ---- the table -------------------------------------------------------------------------------------------------------


def over_seeds(rows: list[dict[str, Any]], measure: str) -> str:
    """The mean over seeds with Student's interval, or one seed's value with the interval over its pictures."""
    values = [row[measure][0] for row in rows]
    ends = student(values) or rows[0][measure][1:]
    return f"{statistics.fmean(values):.1%}" + (f" [{ends[0]:.1%}, {ends[1]:.1%}]" if ends else "")


def apart(rows: list[dict[str, Any]], first: list[dict[str, Any]], measure: str) -> str:
    """Points more than the first arm, seed by seed, with Student's interval over seeds."""
    other = {row["seed"]: row[measure][0] for row in first}
    points = [100 * (row[measure][0] - other[row["seed"]]) for row in rows if row["seed"] in other]
    if not points:
        return ""
    ends = student(points)
    return f"{statistics.fmean(points):+.1f}" + (f" [{ends[0]:+.1f}, {ends[1]:+.1f}]" if ends else "")


def table_rows(found: list[dict[str, Any]]) -> Iterator[Row]:
    for name, study in STUDIES.items():
        by_arm = {arm: [one for one in found if (one["study"], one["arm"]) == (name, arm)] for arm in study.arms}
        first = [one for one in next(iter(by_arm.values())) if "failed" not in one]
        for arm, every in by_arm.items():
            rows = [one for one in every if "failed" not in one]
            what = f"{study.what}: {arm}"
            if not rows:
                if every:
                    yield Row(what, "no member of its line", every[0]["failed"], None, len(every), "")
                continue
            ms = statistics.median(one["ms"] for one in rows)
            what += f", {rows[0]['macs'] / 1e6:.0f}M MACs, {rows[0]['params'] / 1e6:.2f}M parameters, {ms:.0f} ms"
            ours = ", ".join(f"{kind} AP {over_seeds(rows, f'{kind}_ap')}" for kind in ("mask", "box"))
            beside = "" if rows == first else ", ".join(
                f"{kind} {apart(rows, first, f'{kind}_ap')}" for kind in ("mask", "box")
            )  # fmt: skip
            yield Row(what, ours, beside, None, len(rows), "")


def merge(runs: Path) -> None:
    found = lines(runs)
    settings = {(tuple(row["settings"]), row["to"]) for row in found if "failed" not in row}
    if len(settings) != 1:
        raise SystemExit(
            f"{runs} has pieces by {len(settings)} settings: {sorted(settings)}; give each a folder of its own"
        )
    changed, to = settings.pop()
    hours = sum(row.get("cpu_s", 0.0) for row in found) / 3600
    pictures = next(row["n"] for row in found if "n" in row)
    save("detection", "Detectors on drawn scenes", "points more than the first", list(table_rows(found)), note=(
        f"Scenes of digits at {SIDE} px, {pictures} to score; recipe detect-scratch changed by {', '.join(changed)}, eight "
        "pictures a step but for norms; n counts seeds, intervals are Student's over them, of differences seed by seed; of one "
        f"seed a bootstrap's over pictures. Scaled to {to} on one thread. Milliseconds are of the exported files, one picture. "
        f"{hours:.1f} hours of CPU. Cartoons: what they rank need not hold for photographs."
    ), raw={"pieces": found})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("detection-study"))
    parser.add_argument("--studies", type=lambda text: text.split(","), default=list(STUDIES))
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--to", default="60ms", help="what detectors are scaled to: more than heads alone take")
    parser.add_argument("--data", default="digit-scenes")
    parser.add_argument("--set", action="append", default=[], help="change the recipe, as `convsmith train` does")
    parser.add_argument("--merge", action="store_true", help="make the results of all that is in --runs; train nothing")
    asked = parser.parse_args()
    if wrong := [study for study in asked.studies if study not in STUDIES]:
        parser.error(f"there is no study {wrong[0]}; there are {', '.join(STUDIES)}")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if asked.merge:
        merge(asked.runs)
    else:
        measure(asked)


if __name__ == "__main__":
    main()
