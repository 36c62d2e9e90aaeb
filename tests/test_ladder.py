"""The additive study and the factor study as values, and what they make of scores."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import convsmith as cs
from convsmith.arch import ArchSpec, Image, Stage
from convsmith.errors import UserError
from convsmith.evals.intervals import student
from convsmith.families.resnet_rs import BLOCK, STYLE
from convsmith.jobs.studies.ladder import FACTORS, Step, bare, climbed, effects, factors, ladder, plain
from convsmith.jobs.train.begin import regularised
from convsmith.model import build
from convsmith.parts import DeepStem, Halving, PooledClassifier
from convsmith.recipes import QUICK, changed, recipe, settle

RS = recipe("resnet-rs")
SMALL = ArchSpec(
    name="rs14",
    input=Image(resolution=32),
    style=STYLE,
    stem=DeepStem(width=16, inner=8, stride=1, then=Halving.NONE),
    stages=tuple(Stage(BLOCK, 1, width, stride) for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2))),
    head=PooledClassifier(classes=10),
)


# ---- the ladder ------------------------------------------------------------------------------------------------------


def test_the_steps_are_those_of_table_1_in_its_order() -> None:
    assert [step.name for step in ladder(cs.spec("resnetrs200"), RS)] == [
        "baseline", "+ cosine", "+ longer", "+ EMA", "+ label smoothing", "+ stochastic depth", "+ RandAugment",
        "+ dropout on FC", "- weight decay", "+ SE", "+ ResNet-D",
    ]  # fmt: skip


def test_the_ladder_begins_at_the_papers_start_and_ends_at_the_recipe() -> None:
    spec = cs.spec("resnetrs200")
    steps = ladder(spec, RS)
    first, last = steps[0].recipe, steps[-1]
    assert (first.epochs, first.decay, first.warmup, first.average, first.smoothing) == (90, 1e-4, 5, 0, 0)
    assert (first.dropout, first.drop_path, first.augment.policy.kind, first.schedule.kind) == (0, 0, "none", "steps")
    assert (first.augment.crop, first.augment.mirror) == ((0.08, 1.0), 0.5)  # crops and the mirror were always there
    assert last == Step("+ ResNet-D", spec, settle(RS, spec))


def test_the_networks_of_the_ladder_are_the_papers_to_the_parameter() -> None:
    steps = {step.name: cs.cost(step.spec) for step in ladder(cs.spec("resnetrs200"), RS)}
    # The sheet's nets, measured with timm at 256 pixels.
    assert steps["baseline"].params == 64_673_832
    assert steps["+ SE"].params == 93_153_768
    assert steps["+ ResNet-D"].params == 93_209_992
    assert steps["baseline"].macs / 1e9 == pytest.approx(19.601, abs=6e-4)
    assert steps["+ SE"].macs / 1e9 == pytest.approx(19.629, abs=6e-4)


def test_each_step_changes_one_thing() -> None:
    steps = ladder(cs.spec("resnetrs200"), RS)
    for before, after in pairwise(steps):
        assert (before.spec == after.spec) != (before.recipe == after.recipe)


def test_a_step_that_changes_nothing_is_left_out() -> None:
    names = [step.name for step in ladder(SMALL, RS)]
    assert "+ stochastic depth" not in names  # the table gives a small network none
    assert "+ stochastic depth" in [step.name for step in ladder(SMALL, changed(RS, ["drop_path=0.1"]))]
    assert [step.name for step in ladder(cs.spec("mobilenetv2_100"), QUICK)] == [
        *("baseline", "+ cosine", "+ longer", "+ EMA", "+ label smoothing", "- weight decay")
    ]


def test_a_network_without_the_changes_of_2018_is_given_them() -> None:
    last = ladder(cs.spec("resnet50"), RS)[-1].spec
    expected = cs.spec("resnetrs50")
    assert (last.stem, last.stages) == (expected.stem, expected.stages)


def test_an_efficientnet_loses_and_regains_its_gates_alone() -> None:
    spec = cs.spec("efficientnet_b0")
    steps = ladder(spec, recipe("efficientnet"))
    assert [step.name for step in steps if step.spec != spec][-1] == "- weight decay"
    assert steps[-1].spec == spec


@pytest.mark.parametrize("name", ["resnetrs50", "efficientnet_b0", "lambdaresnet50", "mobilenetv2_100", "nf_resnet26"])
def test_plain_is_idempotent_and_costs_no_more(name: str) -> None:
    spec = cs.spec(name)
    assert plain(plain(spec)) == plain(spec)
    assert cs.cost(plain(spec)).params <= cs.cost(spec).params


def test_every_step_can_be_built() -> None:
    for step in ladder(SMALL, changed(RS, ["drop_path=0.1"])):
        model = build(regularised(step.spec, step.recipe))
        assert sum(parameter.numel() for parameter in model.parameters()) == cs.cost(step.spec).params


@given(st.integers(1, 400))
def test_a_short_ladder_s_warm_up_never_takes_more_than_the_paper_s_share(epochs: int) -> None:
    for step in ladder(SMALL, replace(RS, epochs=epochs)):
        assert step.recipe.warmup <= 5 / 90 * step.recipe.epochs + 1e-6
        assert step.recipe.epochs >= 1


def test_making_bare_needs_numbers() -> None:
    with pytest.raises(ValueError, match="settle"):
        bare(recipe("nf-regnet"))


# ---- factors ---------------------------------------------------------------------------------------------------------


def test_the_eight_corners_differ_in_what_their_levels_say() -> None:
    steps = factors(SMALL, RS)
    assert [step.levels for step in steps] == list(product((False, True), repeat=3))
    assert len({step.name for step in steps}) == 8
    target = 2 * cs.cost(SMALL).macs
    for step in steps:
        trained, built, scaled = step.levels
        assert (step.recipe.schedule.kind == "cosine") == trained
        assert (plain(step.spec) != step.spec) == built
        assert (step.spec.input.resolution == 32) == scaled  # depth leaves the side, the compound rule does not
        assert 0.7 * target < cs.cost(step.spec).macs <= target


def test_a_network_with_nothing_to_take_away_has_no_architecture_factor() -> None:
    with pytest.raises(UserError, match="no architecture factor"):
        factors(cs.spec("mobilenetv2_100"), QUICK)


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_gains_are_paired_by_seed() -> None:
    # Seeds differ by much, steps by exactly one hundredth: paired, the gain is sure.
    scores = [{0: 0.5, 1: 0.7, 2: 0.9}, {0: 0.51, 1: 0.71, 2: 0.91}, {0: 0.52, 1: 0.72}]
    first, second, third = climbed(["a", "b", "c"], scores)
    assert first.gain is None and first.mean == pytest.approx(0.7)
    assert second.gain == pytest.approx(0.01)
    assert second.gain_interval == pytest.approx((0.01, 0.01), abs=1e-9)
    assert second.interval[0] < 0.3
    assert third.gain == pytest.approx(0.01) and third.mean == pytest.approx(0.62)
    assert climbed(["a"], [{0: 0.5}])[0].interval is None


def test_a_gain_s_interval_ends_where_differences_of_shares_do() -> None:
    _, second = climbed(["a", "b"], [{0: 0.1, 1: 0.9}, {0: 0.9, 1: 0.1}])
    assert second.gain == pytest.approx(0) and second.gain_interval == (-1, 1)


@given(st.lists(st.floats(-1, 1), min_size=8, max_size=8))
def test_the_contrasts_recover_the_effects_that_made_the_scores(parts: list[float]) -> None:
    steps = [Step("", SMALL, RS, levels) for levels in product((False, True), repeat=3)]
    signs = [[1 if level else -1 for level in step.levels] for step in steps]
    subsets = [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    scores = [
        {0: sum(part / 2 * math.prod(sign[i] for i in subset) for part, subset in zip(parts, subsets, strict=True))}
        for sign in signs
    ]
    found = effects(steps, scores)
    assert [effect.name for effect in found] == [" x ".join(FACTORS[i] for i in subset) for subset in subsets[1:]]
    assert [effect.mean for effect in found] == pytest.approx(parts[1:], abs=1e-12)


def test_effects_need_a_seed_that_all_corners_share() -> None:
    steps = [Step("", SMALL, RS, levels) for levels in product((False, True), repeat=3)]
    with pytest.raises(UserError, match="no seed"):
        effects(steps, [{0: 0.5}] * 7 + [{1: 0.5}])


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12), st.sampled_from([0.8, 0.95, 0.99]))
def test_student_s_interval_is_scipy_s(values: list[float], confidence: float) -> None:
    spread = stats.sem(values)
    low, high = student(values, confidence)
    reach = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * spread
    assert (high - low) / 2 == pytest.approx(reach, rel=1e-12, abs=1e-12)
    assert (high + low) / 2 == pytest.approx(sum(values) / len(values), abs=1e-9)


def test_one_number_has_no_interval() -> None:
    assert student([0.5]) is None
    with pytest.raises(ValueError, match="confidence"):
        student([1, 2], 1.0)
