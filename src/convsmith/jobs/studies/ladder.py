"""What each ingredient of a recipe buys: the additive study and the factor study of ResNet-RS, for any network and data.

Both are pure: a network and a recipe go in, the trainings to do come out as values. What runs them, and how often, is
the business of `climbing`; `climbed` and `effects` read the scores that come back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean

from ...arch import Act, ArchSpec, Block
from ...costs import cost
from ...errors import UserError
from ...evals.intervals import student_of_shares
from ...parts import SE, Bottleneck, ConvStem, DeepStem, Halving, MBConv, Shortcut
from ...recipe import BySize, Recipe, Steps, Untouched
from ...recipes import settle
from ...scaling import rule as named_rule
from ...scaling import solve
from ...units import Budget

__all__ = ["FACTORS", "Effect", "Rung", "Step", "bare", "climbed", "effects", "factors", "ladder", "plain"]

# ResNet-RS, table 1 and 2: 90 epochs before 350 and weight decay 1e-4 before 4e-5.
SHORT = 90 / 350
HEAVY = 1e-4 / 4e-5
EASED = 5 / 90

FACTORS = ("training", "architecture", "scaling")


@dataclass(frozen=True)
class Step:
    """One training to do: a network by a recipe. `levels` is its place in the factor study, empty on the ladder."""

    name: str
    spec: ArchSpec
    recipe: Recipe
    levels: tuple[bool, ...] = ()


# ---- the additive study ----------------------------------------------------------------------------------------------


def ladder(spec: ArchSpec, recipe: Recipe) -> tuple[Step, ...]:
    """The steps of ResNet-RS's table 1 from a bare network and recipe to `spec` and `recipe`, in the table's order.

    baseline; + cosine (whatever schedule the recipe has); + longer, from 90 / 350 of the epochs to all; + average;
    + smoothing; + stochastic depth; + policy (RandAugment); + mixing, where the recipe mixes; + dropout; - weight decay,
    from 2.5 times the recipe's to the recipe's; + SE; + ResNet-D. A step that would change nothing is left out: a recipe
    whose table gives a small network no stochastic depth has no such step unless it is set. Each step holds all before
    it, so what it adds is an increment and not its effect alone: the order matters.

    No warm-up takes a larger share of a step's epochs than the baseline's 5 of 90, which is ours: five epochs would fill a
    short run.
    """
    target = settle(recipe, spec)
    steps = [Step("baseline", plain(spec), bare(target))]

    def add(name: str, new: ArchSpec, how: Recipe) -> None:
        if (new, how) != (steps[-1].spec, steps[-1].recipe):
            steps.append(Step(name, new, how))

    for name, change in _changes(target):
        add(name, steps[-1].spec, _eased(change(steps[-1].recipe), target))
    add("+ SE", _squeezed(steps[-1].spec, spec), steps[-1].recipe)
    add("+ ResNet-D", _d(steps[-1].spec, spec), steps[-1].recipe)
    return tuple(steps)


def bare(recipe: Recipe) -> Recipe:
    """The ladder's first recipe: a tenth of the rate at 1/3, 2/3 and 8/9 of 90/350 of the epochs, 2.5 times the decay, and
    nothing that regularises but crops and the mirror."""
    if isinstance(recipe.decay, BySize):
        raise ValueError("settle the recipe's tables by size before making it bare")
    return _eased(
        replace(
            recipe,
            schedule=Steps(),
            epochs=max(1, round(recipe.epochs * SHORT)),
            average=0.0,
            smoothing=0.0,
            drop_path=0.0,
            augment=replace(recipe.augment, policy=Untouched(), erase=0.0),
            mixup=0.0,
            cutmix=0.0,
            dropout=0.0,
            decay=float(f"{recipe.decay * HEAVY:.6g}"),
        ),
        recipe,
    )


def _changes(target: Recipe) -> tuple[tuple[str, Callable[[Recipe], Recipe]], ...]:
    kind = target.schedule.kind
    policy = target.augment.policy.kind.replace("rand-augment", "RandAugment").replace("auto-augment", "AutoAugment")
    return (
        (f"+ {kind}", lambda r: replace(r, schedule=target.schedule)),
        ("+ longer", lambda r: replace(r, epochs=target.epochs)),
        ("+ EMA", lambda r: replace(r, average=target.average)),
        ("+ label smoothing", lambda r: replace(r, smoothing=target.smoothing)),
        ("+ stochastic depth", lambda r: replace(r, drop_path=target.drop_path)),
        (f"+ {policy}", lambda r: replace(r, augment=target.augment)),
        ("+ mixing", lambda r: replace(r, mixup=target.mixup, cutmix=target.cutmix)),
        ("+ dropout on FC", lambda r: replace(r, dropout=target.dropout)),
        ("- weight decay", lambda r: replace(r, decay=target.decay)),
    )


def _eased(recipe: Recipe, target: Recipe) -> Recipe:
    return replace(recipe, warmup=min(target.warmup, round(recipe.epochs * EASED, 6)))


# ---- networks with and without the two changes of 2018 ----------------------------------------------------------------


def plain(spec: ArchSpec) -> ArchSpec:
    """`spec` without squeeze-excitation in its bottlenecks, and without ResNet-D's stem and shortcuts.

    A stem of three 3x3 convolutions becomes one, 7x7 with a max-pool where it divided the side by four and 3x3 where it
    did not. Other stems and blocks stay as they are.
    """
    stem = spec.stem
    if isinstance(stem, DeepStem):
        pools = stem.then is not Halving.NONE
        stem = ConvStem(
            stem.width, kernel=7 if stem.reduction == 4 else 3, stride=stem.stride, pool=pools, bare=stem.bare
        )
    return replace(_blocks(spec, _plain_block), stem=stem)


def _plain_block(block: Block, stage: int) -> Block:
    if isinstance(block, Bottleneck):
        return replace(block, se=None, shortcut=Shortcut.CONV)
    return replace(block, se=None) if isinstance(block, MBConv) else block


def _squeezed(spec: ArchSpec, model: ArchSpec) -> ArchSpec:
    """With `model`'s squeeze-excitation; where its bottlenecks have none, ResNet-RS's in all of them."""
    own = [stage.block.se if isinstance(stage.block, Bottleneck | MBConv) else None for stage in model.stages]
    first = SE(ratio=0.25, act=Act.RELU)

    def squeeze(block: Block, stage: int) -> Block:
        if isinstance(block, Bottleneck):
            return replace(block, se=own[stage] if any(own) else first)
        return replace(block, se=own[stage]) if isinstance(block, MBConv) else block

    return _blocks(spec, squeeze)


def _d(spec: ArchSpec, model: ArchSpec) -> ArchSpec:
    """With `model`'s ResNet-D stem and shortcuts; where its bottlenecks have none, ResNet-RS's."""
    if not any(isinstance(stage.block, Bottleneck) for stage in spec.stages):
        return replace(spec, stem=model.stem)
    stem = model.stem
    if not isinstance(stem, DeepStem) and isinstance(stem, ConvStem):
        then = Halving.CONV if stem.pool else Halving.NONE
        stem = DeepStem(stem.width, inner=max(1, stem.width // 2), stride=stem.stride, then=then, bare=stem.bare)

    def pool(block: Block, stage: int) -> Block:
        return replace(block, shortcut=Shortcut.POOL_CONV) if isinstance(block, Bottleneck) else block

    return replace(_blocks(spec, pool), stem=stem)


def _blocks(spec: ArchSpec, change: Callable[[Block, int], Block]) -> ArchSpec:
    stages = (replace(stage, block=change(stage.block, index)) for index, stage in enumerate(spec.stages))
    return replace(spec, stages=tuple(stages))


# ---- the factor study ------------------------------------------------------------------------------------------------


def factors(
    spec: ArchSpec, recipe: Recipe, *, grow: float = 2.0, rules: tuple[str, str] = ("compound", "depth")
) -> tuple[Step, ...]:
    """The eight corners of training x architecture x scaling, which tell apart what papers change together.

    training: `bare` against `recipe`. architecture: `plain` against the ladder's last network. scaling: by the first rule
    against by the second, both to `grow` times the multiply-adds of `spec`, from below. ResNet-RS's claim is that of the
    three the first is worth most; its second rule deepens where it overfits and lets the side grow slowly.

    Raises `UserError` where the network has nothing to make plain: two equal architectures have no difference to measure.
    """
    full = ladder(spec, recipe)[-1]
    if plain(full.spec) == full.spec:
        raise UserError(
            f"{spec.name} has neither squeeze-excitation nor ResNet-D's stem to do without: no architecture factor"
        )
    budget = Budget(macs=grow * cost(spec).macs)
    steps = []
    for levels in product((False, True), repeat=3):
        trained, built, scaled = levels
        base = full.spec if built else plain(full.spec)
        grown = solve(named_rule(rules[scaled]), base, budget, cost).spec
        settled = settle(recipe, grown)
        name = ", ".join(
            (settled.name if trained else "bare", "SE + D" if built else "plain", f"{rules[scaled]} x{grow:g}")
        )
        steps.append(Step(name, grown, _eased(settled, settled) if trained else bare(settled), levels))
    return tuple(steps)


# ---- what the scores say ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rung:
    """A step's mean score over the seeds with its 95 % interval, and what it adds to the step before, seed by seed.

    Intervals are None at one seed, and `gain` on the first step. That of the score ends at 0 and 1.
    """

    name: str
    mean: float
    interval: tuple[float, float] | None
    gain: float | None
    gain_interval: tuple[float, float] | None


@dataclass(frozen=True)
class Effect:
    """What a factor, or two or three of them beyond their sum, is worth in the score."""

    name: str
    mean: float
    interval: tuple[float, float] | None


def climbed(names: Sequence[str], scores: Sequence[Mapping[int, float]]) -> tuple[Rung, ...]:
    """The ladder's rungs from each step's score by seed. A seed that a step lacks is left out of that step's numbers."""
    rungs = []
    for index, (name, own) in enumerate(zip(names, scores, strict=True)):
        gain = gain_interval = None
        if index and (both := sorted(set(own) & set(scores[index - 1]))):
            gains = [own[seed] - scores[index - 1][seed] for seed in both]
            gain, gain_interval = fmean(gains), student_of_shares(gains, least=-1.0)
        rungs.append(Rung(name, fmean(own.values()), student_of_shares(list(own.values())), gain, gain_interval))
    return tuple(rungs)


def effects(steps: Sequence[Step], scores: Sequence[Mapping[int, float]]) -> tuple[Effect, ...]:
    """The seven contrasts of a 2 x 2 x 2 study, by Yates: main effects, then interactions of two, then of three.

    A contrast is the mean of the four corners where the product of its factors' signs is +1 less that of the other four,
    taken seed by seed; the interval is Student's over the seeds.
    """
    seeds = sorted(set.intersection(*(set(own) for own in scores)))
    if not seeds:
        raise UserError("no seed has scores at all eight corners")
    found = []
    for parts in sorted(
        (p for p in product((False, True), repeat=3) if any(p)), key=lambda p: (sum(p), [not x for x in p])
    ):
        signs = []
        for step in steps:
            minus = sum(part and not level for part, level in zip(parts, step.levels, strict=True))
            signs.append((-1) ** minus)
        values = [sum(sign * own[seed] for sign, own in zip(signs, scores, strict=True)) / 4 for seed in seeds]
        name = " x ".join(factor for factor, part in zip(FACTORS, parts, strict=True) if part)
        found.append(Effect(name, fmean(values), student_of_shares(values, least=-1.0)))
    return tuple(found)
