"""`fit-scaling`: the scaling rule of one's own data, from small trainings, and how well it predicts larger ones."""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...ambient import undisturbed
from ...arch import ArchSpec
from ...costs import cost
from ...data import ImageData, check_channels
from ...errors import BudgetError, UserError
from ...evals.intervals import student, wilson
from ...recipe import Recipe
from ...recipes import changed, settle
from ...resolve import spec as resolve_spec
from ...scaling import Compound, Point, Rule, Tiny, rule_to_json, solve
from ...scaling import rule as named_rule
from ...scaling.candidates import apart, sampled, twice
from ...scaling.law import Law
from ...shown import Shown
from ...tasks import Classify, task_for
from ...units import Budget, Cost, plural
from ...watcher import Watcher
from ..fitting import fitted_to, refuse_norms
from ..options import Options, base_recipe
from ..train.begin import regularised
from .trials import Outcome, Trial, train_all

__all__ = ["Arm", "Check", "Difference", "Fitted", "Plan", "fit_scaling", "planned"]

# Shares of the base's cost at which the fitted rule's members are trained for the law, and those held out to check it:
# the last costs four times the dearest that the law has seen.
# At a share of 1 the tiny rule's answer is the base itself, which is no member of its curves.
SHARES = {"tiny": ((1 / 16, 1 / 8, 1 / 4), (1 / 2, 0.99)), "compound": ((1 / 4, 1 / 2, 1.0), (2.0, 4.0))}

# Of the base's cost, what a triple that stands for its double must come to.
LEAST_DOUBLED = 1.5


@dataclass(frozen=True)
class Plan:
    """What is decided before the first training, and kept in the study's folder so that a resumed one is the same."""

    rule: str
    base: ArchSpec
    recipe: Recipe
    trials: int
    seeds: int
    front: float
    seed: int
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """One network of the study with its scores by seed. `role` is `tried`, `member`, `checked` or `against`."""

    name: str
    role: str
    spec: ArchSpec
    cost: Cost
    scores: tuple[float, ...]
    rule: str = ""

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)

    @property
    def interval(self) -> tuple[float, float] | None:
        ends = student(self.scores)
        return None if ends is None else (max(ends[0], 0.0), min(ends[1], 1.0))


@dataclass(frozen=True)
class Check:
    """A held-out network: what the law said before it was trained, and what it gave."""

    share: float
    macs: int
    predicted: float
    low: float
    high: float
    found: float

    @property
    def error(self) -> float:
        return self.found - self.predicted


@dataclass(frozen=True)
class Difference:
    """The rule's member less a foil's, seed by seed. `ratio` is the member's counted cost over the foil's."""

    against: str
    share: float
    ratio: float
    mean: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, repr=False)
class Fitted(Shown):
    """A finished study: the rule, what it rests on, its law with the held-out checks, and each foil's paired difference."""

    plan: Plan
    rule: Rule
    arms: tuple[Arm, ...]
    points: tuple[Point, ...]
    law: Law | None
    checks: tuple[Check, ...]
    differences: tuple[Difference, ...]
    failures: tuple[str, ...]
    images: ImageData

    def __str__(self) -> str:
        return f"{_said(self.rule)}, fitted to {self.images.name} from {self.plan.base.name}"

    def to_record(self) -> dict[str, object]:
        return {
            "rule": json.loads(rule_to_json(self.rule)),
            "base": self.plan.base.name,
            "data": self.images.name,
            "arms": [
                {"name": a.name, "role": a.role, "rule": a.rule, "macs": a.cost.macs, "params": a.cost.params}
                | {"scores": list(a.scores), "mean": a.mean, "interval": a.interval}
                for a in self.arms
            ],
            "law": None if self.law is None else asdict(self.law),
            "checks": [asdict(check) | {"error": check.error} for check in self.checks],
            "differences": [asdict(one) for one in self.differences],
            "failures": list(self.failures),
        }


def planned(
    *,
    base: str | Path | ArchSpec,
    rule: str,
    images: ImageData,
    trials: int | None = None,
    seeds: int = 3,
    front: float = 0.4,
    resolution: int | None = None,
    against: Sequence[str] = (),
    options: Options | None = None,
) -> Plan:
    """The decisions of a study: which base, how it is trained, how many networks."""
    options = options or Options()
    if not isinstance(task := task_for(images, word=options.task), Classify):
        said = "a generator is judged by a distance" if task.makes else f"{images.name} has {images.train.targets.said}"
        raise UserError(f"{said}; fit-scaling's law is of a share of right answers")
    task = task_for(images, settings=options.task_settings)
    if rule not in SHARES:
        raise UserError(f"fit-scaling fits {' or '.join(sorted(SHARES))}; got '{rule}'")
    for name in against:
        named_rule(name)
    trials = (24 if rule == "tiny" else 12) if trials is None else trials
    if trials < 4:
        raise UserError(f"a rule cannot be fitted to {trials} networks; 4 are the least, 24 say something")
    if seeds < 1:
        raise UserError(f"--seeds must be at least 1; got {seeds}")
    recipe = base_recipe(options, "quick")
    spec = resolve_spec(base)
    check_channels(spec.input.channels)
    spec = fitted_to(spec, task, images, resolution)
    refuse_norms(recipe, weights=False)
    recipe = settle(changed(recipe, options.recipe_settings), spec)
    return Plan(rule, regularised(spec, recipe), recipe, trials, seeds, front, options.seed, tuple(against))


def candidates(plan: Plan, watcher: Watcher | None = None) -> list[tuple[Compound | Point, ArchSpec]]:
    """The networks to try: (what they stand for, spec). Compound triples cost twice the base each, tiny shapes up to it.

    A triple that rounding keeps far from twice the base is left out, since it would be compared at another cost, and the next
    one takes its place; `watcher` is told.
    """
    rng = random.Random(plan.seed)
    if plan.rule == "tiny":
        return [*sampled(plan.base, plan.trials, rng, cost)]
    made: list[tuple[Compound | Point, ArchSpec]] = []
    for rule in apart(2 * plan.trials, rng):
        if len(made) == plan.trials:
            break
        try:
            spec = twice(rule, plan.base, cost)
        except BudgetError:
            continue
        times = cost(spec).macs / cost(plan.base).macs
        if times >= LEAST_DOUBLED:
            made.append((rule, spec))
        elif watcher is not None:
            watcher.note(f"{spec.name} is left out: rounding leaves it at {times:.2f} times the base's cost, not twice")
    return made


def _refuse_chance(arms: Sequence[Arm], images: ImageData) -> None:
    """Refuse scores that say nothing: the best of them cannot be told from always answering the commonest class."""
    counts, best = images.counts[1], max(arms, key=lambda arm: arm.mean)
    n, most = int(counts.sum()), int(counts.max())
    if wilson(round(best.mean * n), n)[0] <= most / n:
        raise UserError(
            f"no rule is fitted: the best of {len(arms)} networks, {best.name}, scores {best.mean:.2%} on {n} images, which cannot "
            f"be told from the {most / n:.2%} of always answering '{images.classes[int(counts.argmax())]}'. Train longer: --epochs"
        )


@undisturbed()
def fit_scaling(
    plan: Plan,
    images: ImageData,
    out: Path,
    *,
    workers: int = 1,
    cluster: str | None = None,
    watcher: Watcher | None = None,
) -> Fitted:
    """Train the plan's networks and fit its rule; then train the rule's members, fit the law, and check it on larger ones.

    `out` keeps each training's outcome: a study that was stopped, or asked again with more seeds, trains only what is missing.
    """
    watcher = watcher or Watcher()
    failures: list[str] = []

    def train(asked: Sequence[tuple[ArchSpec, int]]) -> list[list[float]]:
        jobs = [Trial(spec, plan.recipe, seed) for spec, seeds in asked for seed in range(seeds)]
        found = iter(train_all(jobs, images, out / "trials", workers=workers, cluster=cluster, watcher=watcher))
        return [[_score(next(found), spec, seed, failures) for seed in range(seeds)] for spec, seeds in asked]

    tried = candidates(plan, watcher)
    if len(tried) < 4:
        raise UserError(
            f"{plural(len(tried), 'network')} can be tried, and a rule needs four: {plan.base.name} at "
            f"{plan.base.input.resolution} px has too few shapes; give a larger --resolution or another --base"
        )
    seeds = 1 if plan.rule == "tiny" else plan.seeds
    watcher.stage("try", f"{len(tried)} networks, {plural(seeds, 'seed')} each")
    scores = [_finite(one) for one in train([(spec, seeds) for _, spec in tried])]
    arms = [
        Arm(spec.name, "tried", spec, cost(spec), tuple(own))
        for (_, spec), own in zip(tried, scores, strict=True)
        if own
    ]
    if len(arms) < 4:
        raise UserError(
            f"{len(arms)} of {len(tried)} networks gave a score, and a rule needs four: " + "; ".join(failures)
        )
    _refuse_chance(arms, images)
    rule, points = _rule(plan, [what for what, _ in tried], scores)
    watcher.stage("rule", _said(rule))

    below, above = SHARES[plan.rule]
    foils = [named_rule(name) for name in plan.against]
    members = [one for share in (*below, *above) for one in _members(plan.base, rule, foils, share, watcher)]
    lines = [rule, *foils]
    watcher.stage(
        "members",
        f"{len(members)} networks of {', '.join(line.kind for line in lines)}, {plural(plan.seeds, 'seed')} each",
    )
    by_seed = train([(spec, plan.seeds) for _, _, _, spec in members])
    for (line, role, share, spec), own in zip(members, by_seed, strict=True):
        shown = "checked" if role == "member" and share in above else role
        if _finite(own):
            arms.append(Arm(f"{line.kind} at {share:.3g}", shown, spec, cost(spec), tuple(_finite(own)), line.kind))
    law = _law([arm for arm in arms if arm.role == "member"], len(images.val))
    checks = _checked(law, [arm for arm in arms if arm.role == "checked"], cost(plan.base).macs)
    differences = _paired(members, by_seed)
    return Fitted(plan, rule, tuple(arms), points, law, checks, differences, tuple(failures), images)


def _members(
    base: ArchSpec, rule: Rule, foils: Sequence[Rule], share: float, watcher: Watcher
) -> list[tuple[Rule, str, float, ArchSpec]]:
    """(rule, role, share, spec) of the rule and of each foil at that share of the base's cost, as equal as stairs allow.

    The first foil is fitted to the share and the rule to the foil's cost, since the stairs of a rule that only rounds are
    the coarser ones.
    """
    budget, found = share * cost(base).macs * (1 + 1e-9), list[tuple[Rule, str, float, ArchSpec]]()
    for line, role in (*((foil, "against") for foil in foils), (rule, "member")):
        try:
            spec = solve(line, base, Budget(macs=budget), cost).spec
        except BudgetError as error:
            watcher.note(f"no member of '{line.kind}' at {share:.3g} of the base: {str(error).split(':')[0]}")
            continue
        if role == "against":
            budget = cost(spec).macs * (1 + 1e-9)
        found.append((line, role, share, spec))
    return found


def _rule(
    plan: Plan, tried: Sequence[Compound | Point], scores: Sequence[Sequence[float]]
) -> tuple[Rule, tuple[Point, ...]]:
    """The rule that the scores speak for, and the points it rests on, if it rests on a front."""
    means = {what: statistics.fmean(own) for what, own in zip(tried, scores, strict=True) if own}
    if plan.rule == "tiny":
        points = tuple(replace(what, accuracy=mean) for what, mean in means.items() if isinstance(what, Point))
        return Tiny.of(points, share=plan.front), points
    triples = {what: mean for what, mean in means.items() if isinstance(what, Compound)}
    return max(triples, key=lambda triple: triples[triple]), ()


def _score(outcome: Outcome, spec: ArchSpec, seed: int, failures: list[str]) -> float:
    if outcome.failed:
        failures.append(f"{spec.name}, seed {seed}: {outcome.failed}")
        return math.nan
    return outcome.top1


def _finite(scores: Sequence[float]) -> list[float]:
    return [score for score in scores if math.isfinite(score)]


def _law(arms: Sequence[Arm], n: int) -> Law | None:
    macs = [float(arm.cost.macs) for arm in arms for _ in arm.scores]
    if len(macs) < 3 or len(set(macs)) < 2:
        return None
    return Law.fitted(macs, [score for arm in arms for score in arm.scores], n)


def _checked(law: Law | None, arms: Sequence[Arm], base: int) -> tuple[Check, ...]:
    if law is None:
        return ()
    found = []
    for arm in arms:
        predicted, low, high = law.at(arm.cost.macs, mean_of=len(arm.scores))
        found.append(Check(arm.cost.macs / base, arm.cost.macs, predicted, low, high, arm.mean))
    return tuple(found)


def _paired(
    members: Sequence[tuple[Rule, str, float, ArchSpec]], scores: Sequence[Sequence[float]]
) -> tuple[Difference, ...]:
    """The rule's member less each foil's at the same share, seed by seed."""
    own = {share: (spec, s) for (_, role, share, spec), s in zip(members, scores, strict=True) if role == "member"}
    found = []
    for (line, role, share, spec), theirs in zip(members, scores, strict=True):
        if role != "against" or share not in own:
            continue
        mine, ours = own[share]
        gaps = _finite([a - b for a, b in zip(ours, theirs, strict=True)])
        if gaps:
            ratio = cost(mine).macs / cost(spec).macs
            found.append(Difference(line.kind, share, ratio, statistics.fmean(gaps), student(gaps)))
    return tuple(found)


def _said(rule: Rule) -> str:
    if isinstance(rule, Compound):
        return f"alpha {rule.alpha:g} (depth), beta {rule.beta:g} (width), gamma {rule.gamma:g} (resolution)"
    return "; ".join(rule.describe(c) for c in (0.5, 0.25, 0.1))
