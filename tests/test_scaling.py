"""Scaling rules, and the largest member of a line that a budget admits."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convsmith.arch import ArchSpec
from convsmith.costs import cost
from convsmith.errors import BudgetError, UserError
from convsmith.families import FAMILIES, spec
from convsmith.jobs.scale import scale
from convsmith.scaling import RULES, CompoundClips, Frames, Rule, rule, solve
from convsmith.scaling.candidates import sampled, twice
from convsmith.scaling.compound import Compound
from convsmith.units import Budget, Cost
from specs import specs

B0 = spec("efficientnet_b0")


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.kind)
@given(arch=specs)
def test_a_rule_leaves_the_base_alone_at_its_neutral_number(kind: type[Rule], arch: ArchSpec) -> None:
    assert kind()(arch, kind.neutral) == arch


# Those that scale frames as well are for clips: test_clips.py.
OF_PICTURES = [kind for kind in RULES if kind not in (CompoundClips, Frames)]
COUNTED = [kind for kind in OF_PICTURES if not kind.solves]
SHRINKS = [kind for kind in OF_PICTURES if kind.most == kind.neutral]


@pytest.mark.parametrize("kind", COUNTED, ids=lambda kind: kind.kind)
@given(share=st.floats(0.3, 0.65), step=st.floats(0.001, 0.1))
def test_cost_never_falls_along_a_rule_s_line(kind: type[Rule], share: float, step: float) -> None:
    along = kind()

    def macs(place: float) -> int:
        # Affordable on every line: the upper ends are networks of thousands of blocks.
        x = kind.least + (kind.most - kind.least) * place if kind.neutral == 0 else 4 ** (2 * place - 1)
        return cost(along(B0, x)).macs

    assert macs(share) <= macs(share + step)


# Sheet 2.4, strict phi; golden/efficientnet.csv holds the same rows.
STRICT = [(1, 9_109_994, 992_629_472), (3, 16_350_296, 3_250_916_456), (7, 68_741_810, 39_663_901_696)]


@pytest.mark.parametrize(("phi", "params", "macs"), STRICT)
def test_the_formula_at_whole_phi_is_the_sheet_s(phi: int, params: int, macs: int) -> None:
    found = cost(Compound()(B0, phi))
    assert (found.params, found.macs) == (params, macs)


def test_the_constants_are_the_paper_s() -> None:
    found = Compound()
    # 1.2 * 1.1**2 * 1.15**2 = 1.92: the paper's "about 2" holds to 0.08, no better.
    assert found.alpha * found.beta**2 * found.gamma**2 == pytest.approx(2, abs=0.08)


# ---- fitting a budget ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenetv1_100", "mobilenetv2_100", "resnet50", "resnet18"])
@pytest.mark.parametrize("kind", OF_PICTURES, ids=lambda kind: kind.kind)
def test_any_network_scales_by_any_rule_to_twice_and_half_its_cost(name: str, kind: type[Rule]) -> None:
    base = spec(name)
    for factor in (0.6,) if kind in SHRINKS else (2, 0.6):
        found = solve(kind(), base, Budget(macs=factor * cost(base).macs), cost)
        assert cost(found.spec).macs <= factor * cost(base).macs
        # Depth rounds up to whole blocks, the coarsest stairs: MobileNetV1 has five stages.
        assert found.slack["macs"] < 0.35
        assert kind()(base, found.x).stages == found.spec.stages


@given(st.floats(0.05, 6))
def test_the_next_member_up_is_over_the_budget(gmacs: float) -> None:
    budget = Budget(macs=gmacs * 1e9)
    found = solve(Compound(), B0, budget, cost)
    assert budget.admits(found.cost)
    above = next(
        member
        for step in range(1, 2000)
        if (member := Compound()(B0, found.x + step * 0.002)).stages != found.spec.stages
        or member.input != found.spec.input
        or member.stem != found.spec.stem
        or member.head != found.spec.head
    )
    assert not budget.admits(cost(above))


def bisected(along: Rule, base: ArchSpec, budget: Budget) -> ArchSpec:
    """The same member by counts alone: bracketed by steps that double, then halved."""

    def fits(x: float) -> bool:
        return budget.admits(cost(along(base, x)))

    low = high = along.neutral
    up, step = fits(along.neutral), 0.05
    while fits(high if up else low) == up:
        low, high = (high, min(high + step, along.most)) if up else (max(low - step, along.least), low)
        step *= 2
    # No finer: depths of 2 and 6 round up 3e-10 of x apart, and a member between two such stairs is nobody's answer.
    while high - low > 1e-5 * max(1.0, abs(high)):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return along(base, low)


@given(
    st.sampled_from(["efficientnet_b0", "mobilenetv1_100", "resnet18", "nf_regnet_b0", "ghostnet_100"]),
    st.sampled_from(COUNTED),
    st.floats(0.2, 4),
    st.floats(0.2, 4),
)
def test_the_answer_is_the_one_that_bisection_by_counts_finds(
    name: str, kind: type[Rule], macs: float, params: float
) -> None:
    base = spec(name)
    if kind in SHRINKS:
        macs = min(macs, 0.9)
    budget = Budget(macs=macs * cost(base).macs, params=params * cost(base).params)
    try:
        found = solve(kind(), base, budget, cost)
    except BudgetError:  # depth alone leaves half of some networks, and resolution all parameters
        assert not budget.admits(cost(kind()(base, kind.least)))
        return
    assert replace(found.spec, name=base.name) == bisected(kind(), base, budget)


@given(specs, st.sampled_from(COUNTED), st.floats(0.3, 0.9))
def test_whatever_the_stairs_the_answer_fits_and_the_next_above_does_not(
    arch: ArchSpec, kind: type[Rule], share: float
) -> None:
    # Widths that are no multiples of eight rise before they fall, so cost is not monotone along these lines.
    budget = Budget(macs=share * cost(arch).macs)
    try:
        found = solve(kind(), arch, budget, cost)
    except BudgetError:
        assert not budget.admits(cost(kind()(arch, kind.least)))
        return
    assert budget.admits(found.cost) and found.cost == cost(found.spec)
    own, x, step = replace(found.spec, name=arch.name), found.x, 1e-5
    while (above := kind()(arch, x)) == own:
        x, step = x + step, 1.1 * step
    assert x > found.x and not budget.admits(cost(above))


def test_few_members_are_counted() -> None:
    counted = list[ArchSpec]()

    def counting(arch: ArchSpec) -> Cost:
        counted.append(arch)
        return cost(arch)

    for factor in (0.3, 0.8, 1.5, 3.0):
        counted.clear()
        solve(Compound(), B0, Budget(macs=factor * cost(B0).macs), counting)
        # The base, a first look, the answer and the member above it; halving alone counted 7 to 11.
        assert len({replace(arch, name="") for arch in counted}) <= 4


def test_a_filled_member_has_the_largest_side_that_fits() -> None:
    budget = Budget(macs=1e9)
    found, filled = (solve(Compound(), B0, budget, cost, fill=fill) for fill in (False, True))
    side = filled.spec.input.resolution
    assert filled.filled_from == found.spec.input.resolution < side
    assert filled.spec.stages == found.spec.stages and filled.x == found.x
    assert budget.admits(filled.cost) and filled.cost == cost(filled.spec)
    assert not budget.admits(cost(filled.spec.with_resolution(side + 1)))
    assert filled.slack["macs"] < found.slack["macs"]
    assert "off the rule's line" in str(filled) and "off the rule's line" not in str(found)


def test_what_leaves_no_room_is_not_filled() -> None:
    base = spec("resnet18")
    budget = Budget(macs=cost(base).macs)
    assert solve(Compound(), base, budget, cost, fill=True) == solve(Compound(), base, budget, cost)


@pytest.mark.parametrize("to", ["6M-params", "5ms"])
def test_only_multiply_adds_can_be_filled(to: str) -> None:
    with pytest.raises(BudgetError, match="cannot be filled"):
        scale("efficientnet_b0", to=to, fill=True)


def test_every_limit_of_a_budget_is_met() -> None:
    found = scale("efficientnet_b0", to="1G-macs,6M-params")
    assert found.cost.macs <= 1e9
    assert found.cost.params <= 6e6
    assert set(found.slack) == {"macs", "params"}
    assert min(found.slack.values()) >= 0


def test_mobilenet_v1_scales_as_the_paper_does() -> None:
    # Tan & Le, table 3: d=1.4, w=1.2, r=1.3 gives 2.3 B in print; phi = 2 of the rule lies there.
    found = scale("mobilenetv1_100", to="2.3G-macs")
    assert found.x == pytest.approx(1.9, abs=0.15)
    assert found.cost.macs == pytest.approx(2.3e9, rel=0.05)


def test_an_impossible_budget_names_the_nearest_that_can_be_met() -> None:
    with pytest.raises(BudgetError, match=r"nearest budget that can be met is 172\.8M-macs") as caught:
        scale("efficientnet_b0", to="2M-macs", rule="depth", classes=10)
    assert "171.9M MACs" in str(caught.value)
    assert cost(scale("efficientnet_b0", to="172.8M-macs", rule="depth", classes=10).spec).macs <= 172.8e6


def test_the_nearest_budget_named_can_be_met() -> None:
    for family in FAMILIES.values():
        name = family()[0].name
        with pytest.raises(BudgetError) as caught:
            scale(name, to="10-macs,10-params")
        nearest = str(caught.value).rsplit(" ", 1)[-1]
        assert scale(name, to=nearest).cost.macs > 10


@pytest.mark.parametrize("kind", SHRINKS, ids=lambda kind: kind.kind)
def test_a_rule_that_only_shrinks_says_so(kind: type[Rule]) -> None:
    with pytest.raises(BudgetError, match="only shrinks; `compound` grows"):
        solve(kind(), B0, Budget(macs=1e9), cost)


def test_a_limit_that_never_binds_is_refused() -> None:
    with pytest.raises(BudgetError, match="never reaches 1G-params"):
        scale("efficientnet_b0", to="1G-params", rule="resolution")


def test_counting_alone_refuses_milliseconds_with_the_reason() -> None:
    with pytest.raises(BudgetError, match="measured, not counted"):
        solve(Compound(), B0, Budget(ms=5), cost)


def test_an_unknown_rule_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown rule 'compond'; rules are compound, .*did you mean 'compound'"):
        rule("compond")


@pytest.mark.parametrize("kind", OF_PICTURES, ids=lambda kind: kind.kind)
def test_scaled_networks_have_names_that_a_shell_and_an_address_hold(kind: type[Rule]) -> None:
    base = replace(spec("mobilenetv2_100").with_resolution(64), name="mobilenetv2_100@64")
    found = solve(kind(), base, Budget(macs=0.7 * cost(base).macs), cost, fill=True).spec.name
    assert re.fullmatch(rf"mobilenetv2_100-64-{kind.kind}[0-9.-]+(-\d+px)?", found)


def test_triples_and_shapes_that_are_tried_have_such_names_too() -> None:
    base = spec("mobilenetv1_025").with_resolution(32)
    assert twice(Compound(1.2, 1.1, 1.15), base, cost).name == "mobilenetv1_025-1.2-1.1-1.15"
    for _, shape in sampled(base, 2, random.Random(0), cost, least=0.5):
        assert re.fullmatch(r"mobilenetv1_025-r[\d.]+-d[\d.]+-w[\d.]+", shape.name)


def test_a_member_at_the_very_end_of_a_line_is_found() -> None:
    # At less than a thousandth of the base's cost the place on the line, rounded to be shown, is no place on it.
    found = solve(rule("tiny"), spec("mobilenetv2_035").with_classes(10), Budget(macs=200_000), cost)
    assert 180_000 < found.cost.macs <= 200_000 and found.x >= found.rule.least
