"""Is a search worth its time? Three budgets, one length: a search, or networks scaled to the budgets, each trained alone.

    python bench/search_worth.py digits --minutes 5 --seeds 2
    python bench/search_worth.py TRAIN.npz --val VAL.npz --minutes 20 --levers plain,first,labels --only search,scaled,table

Each arm has the same minutes of one core: a search for its training, its choosing and, with `finish`, its training on; a
rule's members share them evenly. With `--epochs` instead of `--minutes` each training has as many epochs. A lever is one
change of the search; `plain` is the search as it is. The images to validate on are divided: by the one half, `tune`, levers
are compared and the best of them is named, by the other, `final`, the searches are held against the rules. Neither chooses a
child. `ranking` trains children alone, to see whether the search puts them in the order that they have then. Every piece is
kept in the folder of the study and none is done twice, in whatever order `--only` asks for them.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from common import RESULTS, Row, save
from convsmith.arch import ArchSpec
from convsmith.costs import cost
from convsmith.data import Arrays, ImageData, Labels, Split, load_data
from convsmith.errors import BudgetError
from convsmith.evals.intervals import student, wilson
from convsmith.evals.ranking import agreement
from convsmith.files import write_text
from convsmith.jobs.feed import Feed, normaliser, score_on, trained
from convsmith.jobs.fitting import fitted_to
from convsmith.jobs.options import Options
from convsmith.jobs.scale import scale
from convsmith.jobs.search.begin import SearchOptions, resume_search, search
from convsmith.jobs.search.options import space_in
from convsmith.jobs.search.rehearsal import rehearse_search
from convsmith.jobs.search.stages import Search
from convsmith.jobs.studies.trials import Trial, train_all
from convsmith.jobs.timing.steps import seconds_of_steps
from convsmith.jobs.train.begin import regularised
from convsmith.model import build
from convsmith.recipe import Recipe
from convsmith.recipes import changed, recipe
from convsmith.resolve import spec as resolve_spec
from convsmith.runs import RunFolder
from convsmith.supernet import Counting, over_cost, within_band
from convsmith.tasks import Classify
from convsmith.training import Single
from convsmith.units import Budget
from convsmith.watcher import Watcher

CPU = torch.device("cpu")
TASK = Classify()
RULES = ("compound", "tiny")
SPREAD, BAND = 20, 12  # children whose order is looked at: evenly over cost, and of one cost


@dataclass(frozen=True)
class Lever:
    """One change of the search: settings of its recipe, and what `search` is told."""

    settings: tuple[str, ...] = ()
    labels_first: float = 0.0
    finish: int = 0


LEVERS = {
    "plain": Lever(),
    "labels-first": Lever(labels_first=0.5),
    "first": Lever(("sandwich.first=0.25",)),
    "labels": Lever(("sandwich.labels=0.5",)),
    "average": Lever(("sandwich.teacher=average",)),
    "by-cost": Lever(("sandwich.drawn=cost",)),
    "one-drawn": Lever(("sandwich.randoms=1",)),
    "four-drawn": Lever(("sandwich.randoms=4",)),
    "mean": Lever(("sandwich.gradients=mean",)),
    "mean-faster": Lever(("sandwich.gradients=mean", "rate=0.8")),
    "finish": Lever(finish=3),
    "first-labels": Lever(("sandwich.first=0.25", "sandwich.labels=0.5")),
}


class Study:
    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked, self.budgets = asked, asked.to.split(",")
        self.out: Path = asked.out
        self.out.mkdir(parents=True, exist_ok=True)
        given = load_data(asked.data, val=asked.val)
        self.name = given.name
        if asked.val is None:
            # A search sets images aside by its seed; here all seeds and rules have to go by the same ones.
            asked.data, asked.val = (written(part, self.out / name, given.classes)
                                     for part, name in ((given.train, "train.npz"), (given.val, "val.npz")))  # fmt: skip
        self.images: ImageData = replace(load_data(asked.data, val=asked.val), mirror=given.mirror)
        self.recipe = recipe("quick") if given.mirror else changed(recipe("quick"), ["augment.mirror=0"])

    def half(self, which: str) -> Split:
        """Every other image to validate on (`tune`), or the rest (`final`)."""
        val = self.images.val
        return val.take(np.arange(which == "final", len(val), 2))

    @cached_property
    def length(self) -> str:
        return f"{self.asked.minutes:g} minutes" if self.asked.minutes else f"{self.asked.epochs} epochs"

    @cached_property
    def seconds(self) -> float:
        return 60 * self.asked.minutes

    def planned(self, name: str, reckon: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What was reckoned from measured steps, once: a study that goes on must train for as long as it would have."""
        path = self.out / "plan" / f"{name}.json"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            write_text(path, json.dumps(reckon()))
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return found

    # ---- a search ----------------------------------------------------------------------------------------------------

    def options(self, lever: Lever, seed: int, epochs: int, name: str) -> Options:
        return Options(
            recipe=self.recipe, settings=(f"epochs={epochs}", *lever.settings), val=self.asked.val, seed=seed, name=name,
            parent=self.out / "searches", device="cpu",
        )  # fmt: skip

    def how(self, lever: Lever) -> SearchOptions:
        return SearchOptions(
            labels_first=lever.labels_first, finish=lever.finish, scorers=1, rounds=self.asked.generations
        )

    def search_epochs(self, name: str) -> int:
        """As many as the time leaves beside choosing and training on."""
        if not self.asked.minutes:
            return int(self.asked.epochs)
        lever = LEVERS[name]

        def reckon() -> dict[str, float]:
            options = self.options(lever, 0, 1, "unused")
            found = rehearse_search(
                self.asked.data, to=self.asked.to, options=options, how=self.how(lever), watcher=Watcher()
            )
            rest = found.scored * found.seconds_a_child + found.seconds_of_finishing
            return {"epochs": (self.seconds - rest) / (found.steps * found.seconds_a_step), "rest_s": rest}

        return max(1, int(self.planned(f"search-{name}-{self.length}", reckon)["epochs"]))

    def searched(self, name: str, seed: int) -> RunFolder:
        """The search by a lever, done or gone on with."""
        epochs = self.search_epochs(name)
        run = self.out / "searches" / f"{name}-{self.length.replace(' ', '-')}-{seed}"
        if (run / "report.html").is_file():
            return RunFolder.open(run)
        told(f"{run.name}: {epochs} epochs")
        if (run / "config.json").is_file():
            return resume_search(RunFolder.open(run))
        lever = LEVERS[name]
        return search(
            self.asked.data, to=self.asked.to, options=self.options(lever, seed, epochs, run.name), how=self.how(lever)
        )

    def scores(self, name: str, half: str, *, finished: bool = False) -> list[list[float]]:
        """By seed the top-1 of each budget's winner on a half of the images."""
        return [[self._score(self.searched(name, seed), budget, half, finished) for budget in self.budgets]
                for seed in range(self.asked.seeds)]  # fmt: skip

    def _score(self, run: RunFolder, budget: str, half: str, finished: bool) -> float:
        child = run.finished(budget) if finished else run.child(budget)
        path = child.file(f"{half}.json")
        if not path.exists():
            found = score_on(trained(child, child.spec), child.spec, self.half(half), self.images.classes, CPU, TASK)
            write_text(path, json.dumps(found.headline.value))
        return float(json.loads(path.read_text(encoding="utf-8")))

    # ---- alone -------------------------------------------------------------------------------------------------------

    def member(self, rule: str, budget: str) -> ArchSpec | None:
        """The base scaled to a budget; None where the rule's smallest member is larger."""
        try:
            own = fitted_to(resolve_spec(self.asked.base), TASK, self.images)
            return regularised(scale(own, to=Budget.parse(budget), rule=rule).spec, self.recipe)
        except BudgetError:
            return None

    def alone_recipe(self, spec: ArchSpec, name: str, share: float) -> Recipe:
        own = self.recipe
        if not self.asked.minutes:
            return replace(own, epochs=self.asked.epochs)

        def reckon() -> dict[str, float]:
            feed = Feed(spec, self.images, own, 0, 0)
            trainee = Single(build(spec, seed=0), TASK, own)
            times = seconds_of_steps(trainee, own, feed, prepare=normaliser(spec, CPU), where=CPU)
            a_step = statistics.mean(times[1:] or times)
            return {"epochs": share * self.seconds / (a_step * feed.steps_per_epoch)}

        return replace(own, epochs=max(1, int(self.planned(f"alone-{name}-{self.length}", reckon)["epochs"])))

    def alone(self, rule: str) -> list[list[float]]:
        """By seed the top-1 on the final half of each budget's member, NaN where there is none."""
        specs = {budget: spec for budget in self.budgets if (spec := self.member(rule, budget)) is not None}
        recipes = {
            budget: self.alone_recipe(spec, f"{rule}-{budget}", 1 / len(self.budgets)) for budget, spec in specs.items()
        }
        found = {}
        for seed in range(self.asked.seeds):
            trials = [Trial(specs[budget], recipes[budget], seed) for budget in specs]
            outcomes = train_all(trials, replace(self.images, val=self.half("final")), self.out / "alone")
            found[seed] = dict(zip(specs, outcomes, strict=True))
        return [[found[seed][budget].top1 if budget in specs else float("nan") for budget in self.budgets]
                for seed in found]  # fmt: skip

    # ---- the order of children ---------------------------------------------------------------------------------------

    def ranked(self, name: str) -> Iterator[Row]:
        """Of a search of seed 0: its children cut out, in the order of the same specs trained alone for as many epochs."""
        run = self.searched(name, 0)
        state = Search(run, space_in(run), self.images, Watcher(), CPU)
        counting, rng = Counting(state.space), random.Random(0)
        middle = counting(over_cost(state.space, 3, random.Random(0))[1]).macs
        sets = {
            f"{SPREAD} children evenly over cost": over_cost(state.space, SPREAD, rng),
            f"children within 10 % of {middle / 1e6:.2f}M MACs": within_band(state.space, middle, BAND, rng),
        }
        own = replace(state.recipe, sandwich=self.recipe.sandwich)
        for what, some in sets.items():
            trials = [Trial(state.space.spec(genes), own, 0) for genes in some]
            theirs = [
                one.top1 for one in train_all(trials, replace(state.parts, val=self.half("final")), self.out / "ranked")
            ]
            cut = [
                score_on(state.examiner.child(trial.spec), trial.spec, self.half("final"), self.images.classes, CPU, TASK)
                .headline.value
                for trial in trials
            ]  # fmt: skip
            tau, null = agreement(cut, theirs), agreement([cost(trial.spec).macs for trial in trials], theirs)
            yield self.row(
                f"order of {what}, {name}: Kendall tau with alone", f"{tau}", f"multiply-adds alone {null}", tau.n
            )

    # ---- the table ---------------------------------------------------------------------------------------------------

    def row(self, what: str, ours: str, reference: str, n: int) -> Row:
        return Row(f"{self.name}, {self.length}: {what}", ours, reference, None, n, "")

    def table(self) -> list[Row]:
        levers = [name for name in self.asked.levers if self.done(name)]
        tuned = {name: self.scores(name, "tune", finished=bool(LEVERS[name].finish)) for name in levers}
        means = {name: [statistics.mean(own) for own in by_seed] for name, by_seed in tuned.items()}
        rows = [
            self.row(f"lever {name}, mean of the budgets' winners, half `tune`", told_of(own, len(self.half("tune"))),
                     "" if name == "plain" or "plain" not in means else f"less plain {gain(own, means['plain'])}", len(own))
            for name, own in means.items()
        ]  # fmt: skip
        best = max(means, key=lambda name: statistics.mean(means[name])) if means else ""
        n = len(self.half("final"))
        rules = {rule: self.alone(rule) for rule in RULES if "scaled" in self.asked.only}
        for name in dict.fromkeys(one for one in ("plain", best) if one in means):
            for finished in (False, True)[: 1 + bool(LEVERS[name].finish)]:
                ours = self.scores(name, "final", finished=finished)
                how = f"{name}{' (the best lever)' if name == best else ''}, {'trained on' if finished else 'cut out'}"
                for at, budget in enumerate(self.budgets):
                    own = [by_seed[at] for by_seed in ours]
                    beside = (
                        f"{rule} {told_of(foil, n)}, search - {rule} {gain(own, foil)}"
                        for rule, scores in rules.items()
                        if (foil := [by_seed[at] for by_seed in scores]) and not np.isnan(foil).any()
                    )
                    rows.append(self.row(f"{budget}, search, {how}", told_of(own, n), "; ".join(beside), len(own)))
        return rows

    def done(self, name: str) -> bool:
        """Whether the searches of a lever are there, or may be made now."""
        runs = (
            self.out / "searches" / f"{name}-{self.length.replace(' ', '-')}-{seed}" for seed in range(self.asked.seeds)
        )
        return "search" in self.asked.only or all((run / "report.html").is_file() for run in runs)


def written(part: Split, path: Path, classes: Sequence[str]) -> str:
    """Images of one size, of one class each, as a file; where it lies."""
    assert isinstance(part.inputs, Arrays) and isinstance(part.targets, Labels), "give --val for other data"
    if not path.exists():
        np.savez(path, images=part.inputs.images, labels=part.targets.labels, classes=np.array(classes))
    return str(path)


def told_of(scores: Sequence[float], n: int) -> str:
    """The mean over seeds with Student's interval, of one seed with the interval of `n` images."""
    mean = statistics.mean(scores)
    low, high = student(scores) or wilson(round(mean * n), n)
    return f"{mean:.1%} [{low:.1%}, {high:.1%}]"


def gain(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Points more, seed by seed; the interval over seeds where there are several."""
    gains = [a - b for a, b in zip(ours, theirs, strict=True)]
    ends = student(gains)
    reach = "" if ends is None else f" [{100 * ends[0]:+.1f}, {100 * ends[1]:+.1f}]"
    return f"{100 * statistics.mean(gains):+.1f}{reach} points"


def told(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def merged(rows: Sequence[Row]) -> list[Row]:
    """These rows, and those of earlier runs that say something else."""
    path = RESULTS / "search_worth.json"
    before = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    made = {row.what for row in rows}
    return [*rows, *(own for one in before if (own := Row(**one)).what not in made)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits", help="what to train on: digits, or a TRAIN.npz with --val")
    parser.add_argument("--val")
    parser.add_argument("--to", default="1.5M-macs,3M-macs,6M-macs")
    parser.add_argument("--base", default="efficientnet_b0", help="what the rules scale")
    parser.add_argument("--minutes", type=float, default=0, help="of one core, for each arm")
    parser.add_argument("--epochs", type=int, default=10, help="of every training, without --minutes")
    parser.add_argument("--generations", type=int, default=6, help="of mutations in a search")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--levers", default="plain", type=lambda text: text.split(","))
    parser.add_argument("--only", default="search,scaled,ranking,table", type=lambda text: text.split(","))
    parser.add_argument("--out", type=Path, default=Path("search-worth"))
    parser.add_argument("--trial", action="store_true", help="an epoch, one budget and nothing written: does it run?")
    asked = parser.parse_args()
    if unknown := [name for name in asked.levers if name not in LEVERS]:
        parser.error(f"no lever {', '.join(unknown)}; there are {', '.join(LEVERS)}")
    if asked.trial:
        asked.to, asked.epochs, asked.minutes, asked.generations, asked.seeds = "1.5M-macs", 1, 0, 0, 1
        asked.only = ["search", "scaled", "table"]
    torch.set_num_threads(1)
    study = Study(asked)
    if "search" in asked.only:
        for name in asked.levers:
            for seed in range(asked.seeds):
                study.searched(name, seed)
    if "scaled" in asked.only:
        for rule in RULES:
            study.alone(rule)
    if "table" not in asked.only:
        return
    rows = study.table()
    if "ranking" in asked.only:
        for name in asked.levers:
            rows += study.ranked(name)
    save(
        "search_worth", "A search, or scaled networks trained alone, in the same time", "alone", merged(rows), trial=asked.trial,
        note=(
            f"Space T32; rules scale {asked.base}; recipe quick. Minutes are of one core for each arm, a search's choosing "
            "included. Top-1 with Student's 95 % interval over seeds, of one seed the interval of the images. Levers are "
            "compared, and the best is named, on other images than those that hold searches against rules; children are chosen on "
            "neither. Rows are kept from run to run."
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
