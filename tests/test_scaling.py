"""Scaling rules, and the largest member of a line that a budget admits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convsmith.arch import ArchSpec
from convsmith.costs import cost
from convsmith.errors import BudgetError, UserError
from convsmith.families import FAMILIES, spec
from convsmith.jobs import scale
from convsmith.scaling import RULES, Rule, fit, rule
from convsmith.scaling.compound import Compound
from convsmith.units import Budget
from specs import specs

B0 = spec("efficientnet_b0")


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.kind)
@given(arch=specs)
def test_a_rule_leaves_the_base_alone_at_its_neutral_number(kind: type[Rule], arch: ArchSpec) -> None:
    assert kind()(arch, kind.neutral) == arch


COUNTED = [kind for kind in RULES if not kind.solves]
SHRINKS = [kind for kind in RULES if kind.most == kind.neutral]


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
@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.kind)
def test_any_network_scales_by_any_rule_to_twice_and_half_its_cost(name: str, kind: type[Rule]) -> None:
    base = spec(name)
    for factor in (0.6,) if kind in SHRINKS else (2, 0.6):
        found = fit(kind(), base, Budget(macs=factor * cost(base).macs), cost)
        assert cost(found.spec).macs <= factor * cost(base).macs
        # Depth rounds up to whole blocks, the coarsest stairs: MobileNetV1 has five stages.
        assert found.slack["macs"] < 0.35
        assert kind()(base, found.x).stages == found.spec.stages


@given(st.floats(0.05, 6))
def test_the_next_member_up_is_over_the_budget(gmacs: float) -> None:
    budget = Budget(macs=gmacs * 1e9)
    found = fit(Compound(), B0, budget, cost)
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
        fit(kind(), B0, Budget(macs=1e9), cost)


def test_a_limit_that_never_binds_is_refused() -> None:
    with pytest.raises(BudgetError, match="never reaches 1G-params"):
        scale("efficientnet_b0", to="1G-params", rule="resolution")


def test_counting_alone_refuses_milliseconds_with_the_reason() -> None:
    with pytest.raises(BudgetError, match="measured, not counted"):
        fit(Compound(), B0, Budget(ms=5), cost)


def test_an_unknown_rule_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown rule 'compond'; rules are compound, .*did you mean 'compound'"):
        rule("compond")
