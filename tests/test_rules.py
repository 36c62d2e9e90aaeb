"""The tiny formula, its foil, ResNet-RS's strategies, and the curves and fronts under them, against the sheets' numbers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.families import spec
from convsmith.scaling import (
    RULES,
    Curve,
    InverseCompound,
    Point,
    Regime,
    ResNetRS,
    Rule,
    Tiny,
    fronts,
    regime,
    rule,
    rule_to_json,
    solve,
    undominated,
)
from convsmith.scaling.tiny import PUBLISHED, width_formula, width_solve
from convsmith.units import Budget

B0 = spec("efficientnet_b0")
B0_MACS = 385_814_752


# ---- the tiny formula ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("point", "size"), list(zip(PUBLISHED, "abcde", strict=True)), ids=list("abcde"))
def test_the_formula_at_the_published_costs_is_the_published_network(point: Point, size: str) -> None:
    made, released = Tiny()(B0, point.share), spec(f"tinynet_{size}")
    assert [(s.depth, s.width) for s in made.stages] == [(s.depth, s.width) for s in released.stages]
    assert made.input.resolution == released.input.resolution
    assert cost(made) == cost(released)


@pytest.mark.parametrize(("point", "size"), list(zip(PUBLISHED, "abcde", strict=True)), ids=list("abcde"))
def test_the_exact_width_is_the_published_one_to_a_step_of_rounding(point: Point, size: str) -> None:
    made, width = width_solve(B0, point.share * B0_MACS, depth=point.depth, resolution=point.resolution)
    # Sheet 7.3: the widest w in steps of 0.001 with each member's channels; above 1.003 A's head would grow past 1280.
    assert width == pytest.approx({"a": 1.003, "b": 0.762, "c": 0.549, "d": 0.549, "e": 0.512}[size], abs=0.002)
    assert cost(made).macs == cost(spec(f"tinynet_{size}")).macs


# Sheet 1.4: w by the paper's square root at c = printed FLOPs / 387 M, what it would cost, and the ratio to the print.
FORMULA = [("a", 339, 0.993, 0.99), ("b", 202, 0.820, 1.05), ("c", 100, 0.668, 1.44), ("d", 52, 0.647, 1.40)]
FORMULA += [("e", 24, 0.677, 1.63)]


@pytest.mark.parametrize(("size", "printed", "width", "over"), FORMULA)
def test_the_square_root_overshoots_small_budgets(size: str, printed: int, width: float, over: float) -> None:
    from convsmith.arch import grown
    from convsmith.scaling.tiny import ROUNDING

    point = PUBLISHED["abcde".index(size)]
    w = width_formula(printed / 387, depth=point.depth, resolution=point.resolution)
    assert w == pytest.approx(width, abs=1e-3)
    made = grown(B0, depth=point.depth, width=w, resolution=point.resolution, rounding=ROUNDING)
    assert cost(made).macs / (printed * 1e6) == pytest.approx(over, abs=0.006)


@given(st.floats(0.02, 0.99), st.sampled_from(["efficientnet_b0", "mobilenetv2_100", "resnet18"]))
def test_a_tiny_member_fills_its_share_and_the_next_wider_does_not_fit(c: float, name: str) -> None:
    base = spec(name)
    allowed = c * cost(base).macs
    depth, resolution = 0.9, 0.8
    made, width = width_solve(base, allowed, depth=depth, resolution=resolution)
    if cost(made).macs > allowed * (1 + 1e-9):
        assert width < 0.02  # nothing narrower is left
        return
    wider = (
        width_solve(base, allowed * (1 + step / 50), depth=depth, resolution=resolution)[0] for step in range(1, 99)
    )
    above = next((found for found in wider if found.stages != made.stages), None)
    assert above is None or cost(above).macs > allowed


def test_the_width_formula_s_algebra() -> None:
    assert width_formula(0.7 * 0.8**2, depth=0.7, resolution=0.8) == pytest.approx(1)
    assert width_formula(4 * 0.1, depth=0.7, resolution=0.8) == pytest.approx(
        2 * width_formula(0.1, depth=0.7, resolution=0.8)
    )


def test_the_stored_curves_are_what_the_published_points_give() -> None:
    again = Tiny.of(PUBLISHED, noise=1e-6)
    for c in (0.95, 0.7, 0.35, 0.18, 0.09, 0.03):
        assert again.factors(c) == pytest.approx(
            Tiny().factors(c), rel=2e-3
        )  # hyperparameters are kept to three digits


@given(st.floats(1e-5, 1))
def test_factors_stay_above_zero_far_from_the_points(c: float) -> None:
    assert min(Tiny().factors(c)) > 0.01


def test_one_s_own_front_makes_one_s_own_formula() -> None:
    # Runs that follow r = c ** 0.1, d = c ** 0.3 exactly, and two bad ones that no front holds.
    good = [Point(c**0.1, c**0.3, 1.0, c, 0.6 + 0.3 * c) for c in (0.05, 0.1, 0.2, 0.4, 0.8)]
    bad = [Point(0.3, 2.0, 1.0, 0.5, 0.1), Point(1.5, 0.2, 1.0, 0.9, 0.2)]
    found = Tiny.of([*good, *bad], share=0.7)
    assert found.factors(0.3) == pytest.approx((0.3**0.1, 0.3**0.3), rel=1e-3)


# ---- Gaussian processes and fronts -----------------------------------------------------------------------------------

X = [-0.13566703, -0.65349945, -1.35483361, -2.01221062, -2.76254430]
R, D = [0.86, 0.84, 0.825, 0.68, 0.475], [1.2, 1.1, 0.85, 0.695, 0.60]
GOLDEN = [(0.75, 0.851679, 0.006523, 1.180548), (0.35, 0.840660, 0.007982, 0.961687)]
GOLDEN += [(0.18, 0.759103, 0.007244, 0.754092), (0.09, 0.560768, 0.010197, 0.631156)]


@pytest.mark.parametrize(("c", "r", "variance", "d"), GOLDEN)
def test_the_process_gives_the_sheet_s_values(c: float, r: float, variance: float, d: float) -> None:
    for y, mean in ((R, r), (D, d)):
        found = Curve.around_mean(X, y, length=1, signal=1, noise=0.1).at(math.log(c))
        assert found == pytest.approx((mean, variance), abs=1e-6)  # the sheet prints six digits


def test_a_process_passes_through_its_points_without_noise_and_returns_to_its_mean_far_away() -> None:
    exact = Curve.around_mean(X, R, length=1, signal=0.3, noise=0)
    assert [exact.at(x)[0] for x in X] == pytest.approx(R, abs=1e-5)
    mean, variance = exact.at(60.0)
    assert (mean, variance) == pytest.approx((sum(R) / 5, 0.09))
    order = [3, 0, 4, 1, 2]
    shuffled = Curve.around_mean([X[i] for i in order], [R[i] for i in order], length=1, signal=0.3, noise=0)
    assert shuffled.at(-1.0) == pytest.approx(exact.at(-1.0))


def test_a_curve_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        Curve.around_mean([0.0, 1.0], [1.0, math.nan], length=1, signal=1, noise=0)


points = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=30)


@given(points)
def test_the_front_is_what_brute_force_says(found: list[tuple[int, int]]) -> None:
    def dominated(i: int) -> bool:
        (c, s) = found[i]
        return any(a <= c and b >= s and (a, b) != (c, s) for a, b in found)

    kept = undominated([c for c, _ in found], [s for _, s in found])
    assert sorted(kept) == [i for i in range(len(found)) if not dominated(i)]


@given(points, st.floats(0.05, 1))
def test_fronts_hold_the_share_and_whole_fronts_only(found: list[tuple[int, int]], share: float) -> None:
    costs, scores = [c for c, _ in found], [s for _, s in found]
    kept = fronts(costs, scores, share)
    assert len(kept) >= share * len(found) - 1e-6
    assert len(set(kept)) == len(kept)
    assert kept[: len(undominated(costs, scores))] == undominated(costs, scores)


# ---- the inverse compound rule ---------------------------------------------------------------------------------------

# golden/tinynet.csv, rows inverse_giant_reconstructed_*: phi, side, parameters, multiply-adds; budgets of the paper's B^-1..-4.
INVERSE = [(1.190, 189, 3_583_046, 199_209_536, 201), (2.363, 160, 2_986_294, 97_584_032, 98)]
INVERSE += [(3.802, 131, 1_994_012, 49_797_168, 51), (5.380, 105, 1_337_980, 23_223_504, 24)]


@pytest.mark.parametrize(("phi", "side", "params", "macs", "budget"), INVERSE)
def test_the_inverse_rule_is_the_sheet_s_reconstruction(
    phi: float, side: int, params: int, macs: int, budget: int
) -> None:
    made = InverseCompound()(B0, -phi)
    # The sheet floors the side where this rule rounds to the nearest; both lie on maps of the same size from stride 2 on.
    assert abs(made.input.resolution - side) <= 1
    assert cost(made.with_resolution(side)).macs == macs
    assert cost(made).params == params
    found = solve(InverseCompound(), B0, Budget(macs=budget * 1e6), cost)
    assert found.x == pytest.approx(-phi, abs=0.03)


def test_whole_phi_with_repeats_rounded_up_misses_the_paper_s_costs() -> None:
    # Sheet 1.5: 301, 177, 107 and 46 M where the paper has 201, 98, 51 and 24 M.
    from convsmith.scaling import Compound

    found = [cost(Compound()(B0, -phi)).macs / 1e6 for phi in (1, 2, 3, 4)]
    assert found == pytest.approx([301, 177, 107, 46], abs=1)  # the sheet floors the side


# ---- ResNet-RS -------------------------------------------------------------------------------------------------------

# The eleven published members: depth and side.
SERIES = [(50, 160), (101, 160), (101, 192), (152, 192), (152, 224), (152, 256), (200, 256), (270, 256), (350, 256)]
SERIES += [(350, 320), (420, 320)]


def test_the_exponents_are_the_least_squares_fit_to_the_published_pairs() -> None:
    members = [spec(f"resnetrs{depth}").with_resolution(side) for depth, side in SERIES]
    doublings = [math.log2(cost(member).macs / cost(members[0]).macs) for member in members]

    def slope(values: list[float]) -> float:
        grown = [math.log2(value / values[0]) for value in values]
        return sum(x * y for x, y in zip(doublings, grown, strict=True)) / sum(x * x for x in doublings)

    assert slope([side for _, side in SERIES]) == pytest.approx(ResNetRS().resolution, abs=0.005)
    assert slope([sum(s.depth for s in m.stages[1:3]) for m in members]) == pytest.approx(ResNetRS().middle, abs=0.005)
    assert slope([m.stages[0].depth + m.stages[3].depth for m in members]) == pytest.approx(ResNetRS().outer, abs=0.005)


def test_long_training_grows_depth_and_short_training_width() -> None:
    base = spec("resnetrs50")
    long, short = (ResNetRS(regime=kind)(base, 2.0) for kind in (Regime.LONG, Regime.SHORT))
    assert long.depth > 2 * base.depth
    assert [stage.width for stage in long.stages] == [stage.width for stage in base.stages]
    assert short.depth == base.depth
    assert short.stages[0].width > base.stages[0].width
    assert long.input == short.input


def test_the_regime_is_the_paper_s_at_its_own_settings() -> None:
    assert regime(350) is Regime.LONG
    assert regime(10) is Regime.SHORT


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.kind)
def test_a_rule_survives_its_file(kind: type[Rule], tmp_path: Path) -> None:
    path = tmp_path / "rule.json"
    made = Tiny.of(PUBLISHED, noise=1e-6) if kind is Tiny else kind()
    path.write_text(rule_to_json(made))
    assert rule(str(path)) == made


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "not JSON"), ("[]", "names no rule"), ('{"rule": "compund"}', "rules are compound")]
    + [('{"rule": "compound", "alpha": "x"}', "alpha"), ('{"rule": "compound", "alfa": 1.0}', "alfa")],
)
def test_a_bad_rule_file_is_refused_with_the_reason(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "rule.json"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        rule(str(path))
