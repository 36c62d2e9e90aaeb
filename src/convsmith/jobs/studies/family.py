"""A family: the members of a base's line at several budgets, each trained alone, by one scaling rule or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...codec import to_data
from ...costs import cost
from ...data import ImageData, check_channels
from ...data.readers.dataset import own_data
from ...errors import UserError
from ...evals.intervals import student_of_shares
from ...files import write_json
from ...latency import Latency
from ...recipe import Recipe
from ...recipes import settle
from ...resolve import spec as resolve_spec
from ...runs import FAMILY_FILE
from ...scaling import rule as named_rule
from ...scaling import solve
from ...scores import Metric, Unit, named
from ...shown import Shown
from ...tasks import TASKS, Task, refuse_unread, task_for
from ...units import Budget, Cost, plural
from ...watcher import Watcher
from ..fitting import fitted_to, refuse_norms
from ..options import Data, Options, refuse_settings, resolved_recipe, source_of, usual_recipe
from ..scale import line_of
from ..timing.measure import measure
from ..train.begin import regularised
from .ladder import Step
from .trials import Trial, train_all

__all__ = ["Difference", "Family", "Member", "Plan", "differences_of", "family", "members", "planned"]


@dataclass(frozen=True)
class Member:
    """The largest network of `rule`'s line that meets `budget`, where it stands on the line, and how it is trained."""

    rule: str
    budget: str
    place: str
    spec: ArchSpec
    recipe: Recipe

    @property
    def step(self) -> Step:
        return Step(f"{self.rule} at {self.budget}", self.spec, self.recipe)


@dataclass(frozen=True)
class Plan:
    """A family that is decided and not trained: its members in the order of rules, then budgets."""

    base: ArchSpec
    members: tuple[Member, ...]
    images: ImageData
    task: Task
    recipe: Recipe
    settings: tuple[str, ...] = ()  # what was set of the task


@dataclass(frozen=True)
class Trained:
    """A member's headline score by seed, what it costs, and its milliseconds on this machine."""

    member: Member
    scores: dict[int, float]
    score: Metric  # their mean, with Student's interval over the seeds
    cost: Cost
    latency: Latency


@dataclass(frozen=True)
class Difference:
    """What the first rule's member is ahead by at a budget, seed by seed: its mean, and Student's interval over the seeds."""

    budget: str
    against: str
    mean: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, repr=False)
class Family(Shown):
    """A finished family: its members, what the rules differ by, and where the page is."""

    plan: Plan
    trained: tuple[Trained, ...]
    differences: tuple[Difference, ...]
    report: Path

    def __str__(self) -> str:
        each = (
            f"{one.member.step.name}: {one.score.words} {one.score.text}, {one.cost}, {one.latency.median_ms:.3f} ms"
            for one in self.trained
        )
        return "\n".join((f"a family of {plural(len(self.trained), 'network')}, {self.report}", *each))

    def to_record(self) -> dict[str, object]:
        return {
            "base": to_data(self.plan.base),
            "members": [
                {
                    "rule": one.member.rule,
                    "budget": one.member.budget,
                    "place": one.member.place,
                    "score": one.score.to_record(),
                    "scores": one.scores,
                    "cost": to_data(one.cost),
                    "latency": one.latency.to_record(),
                    "spec": to_data(one.member.spec),
                    "recipe": to_data(one.member.recipe),
                }
                for one in self.trained
            ],
            "differences": [to_data(one) for one in self.differences],
            "report": str(self.report),
        }


def planned(
    base: str | Path | ArchSpec,
    data: Data,
    *,
    to: str | Sequence[str],
    rules: Sequence[str] = ("compound",),
    resolution: int | None = None,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> Plan:
    """The data, the base for it, and the members of every rule's line: all before anything is trained."""
    options, watcher = options or Options(), watcher or Watcher()
    refuse_settings(options, list(dict.fromkeys(kind.recipes[0] for kind in TASKS)))
    spec, budgets = resolve_spec(base), _budgets(to)
    check_channels(spec.input.channels)
    if len(set(rules)) < len(rules):
        raise UserError(f"a rule is named twice: {', '.join(rules)}")
    images = source_of(data, options).load(watcher, own_data(data))
    task = task_for(images, settings=options.task_settings)
    recipe = resolved_recipe(options, usual_recipe(task, options))
    refuse_unread(task, recipe)
    refuse_norms(recipe, weights=False)
    judged = named(task.headline_of(images.val.targets), 0.0)
    if judged.unit is not Unit.SHARE:
        raise UserError(f"a family compares shares, and networks on {images.name} are judged by {judged.words}")
    spec = fitted_to(spec, task, images, resolution)
    found = members(spec, budgets, rules, recipe, len(images.train))
    return Plan(spec, found, images, task, recipe, options.task_settings)


def members(
    base: ArchSpec, budgets: Sequence[Budget], rules: Sequence[str], recipe: Recipe, images: int
) -> tuple[Member, ...]:
    """For each rule and budget the largest member of the rule's line through `base`, with `recipe` for its size.

    Raises:
        UserError: two budgets that one network is the largest for, or one that no member of a line meets.
    """
    found: list[Member] = []
    for name in rules:
        line = line_of(named_rule(name), recipe, images)
        first = len(found)
        for budget in budgets:
            solution = solve(line, base, budget, cost)
            settled = settle(recipe, solution.spec)
            new = Member(
                line.kind, str(budget), line.describe(solution.x), regularised(solution.spec, settled), settled
            )
            same = next((one for one in found[first:] if _structure(one.spec) == _structure(new.spec)), None)
            if same is not None:
                raise UserError(
                    f"for {same.budget} and for {new.budget} the largest network of the {name} line is the same one: give budgets "
                    "farther apart"
                )
            found.append(new)
    return tuple(found)


def _structure(spec: ArchSpec) -> ArchSpec:
    return replace(spec, name="")


def _budgets(to: str | Sequence[str]) -> tuple[Budget, ...]:
    texts = to.split(",") if isinstance(to, str) else tuple(to)
    found = tuple(Budget.parse(text.replace("+", ",")) for text in texts)
    if any(budget.ms < float("inf") for budget in found):
        raise UserError(
            "the budgets of a family are counted, as 2M-macs or 1M-params, so that a study that goes on has the same members; "
            "their milliseconds are measured at the end"
        )
    return found


@undisturbed()
def family(
    plan: Plan,
    *,
    out: Path,
    seeds: int = 3,
    workers: int = 1,
    cluster: str | None = None,
    watcher: Watcher | None = None,
) -> Family:
    """Train every member under seeds 0 to `seeds` - 1, and time them in turns. `family_page` draws what came of it.

    `out` holds a result for each training, named by a hash of all that it depends on. A training that has its result is not run
    again; one that was killed goes on from its checkpoint. `workers` of them are trained beside each other, each by one thread,
    or as many as a Ray `cluster` has cores; the results are the same.

    Raises:
        UserError: fewer than one seed, or a training that diverged; the others are kept.
    """
    watcher = watcher or Watcher()
    if seeds < 1:
        raise UserError(f"a study needs at least one seed; got {seeds}")
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / FAMILY_FILE, {"base": plan.base.name, "members": [one.step.name for one in plan.members]})
    watcher.stage("train", f"{plural(len(plan.members), 'network')}, {plural(seeds, 'seed')} each")
    trials = [Trial(one.spec, one.recipe, seed, plan.settings) for one in plan.members for seed in range(seeds)]
    outcomes = train_all(trials, plan.images, out, workers=workers, cluster=cluster, watcher=watcher)
    for at, outcome in enumerate(outcomes):
        if outcome.failed:
            raise UserError(f"{plan.members[at // seeds].step.name} under seed {at % seeds}: {outcome.failed}")
    timing = measure([one.spec for one in plan.members], watcher=watcher)
    words = named(plan.task.headline, 0.0)
    trained = []
    for at, (member, row) in enumerate(zip(plan.members, timing.rows, strict=True)):
        scores = {seed: outcomes[seeds * at + seed].top1 for seed in range(seeds)}
        mean = replace(words, value=fmean(scores.values()), interval=student_of_shares(list(scores.values())))
        trained.append(Trained(member, scores, mean, cost(member.spec), row))
    return Family(plan, tuple(trained), differences_of(trained), out / "study.html")


def differences_of(trained: Sequence[Trained]) -> tuple[Difference, ...]:
    """The first rule against each other one at every budget, paired by seed."""
    first = {one.member.budget: one for one in trained if one.member.rule == trained[0].member.rule}
    found = []
    for one in trained:
        ours = first[one.member.budget]
        if one is not ours:
            gains = [ours.scores[seed] - score for seed, score in one.scores.items()]
            found.append(
                Difference(one.member.budget, one.member.rule, fmean(gains), student_of_shares(gains, least=-1.0))
            )
    return tuple(found)
