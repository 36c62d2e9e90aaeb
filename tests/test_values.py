"""Specs, plans and JSON: an architecture is a value."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convsmith.arch import ArchSpec, Image, Stage, grown, plan
from convsmith.codec import from_json, to_data, to_json
from convsmith.errors import BudgetError, UserError, nearest
from convsmith.families import names, spec
from convsmith.parts import PARTS, BatchNorm, GroupNorm, MBConv, PooledClassifier
from convsmith.units import Budget, Cost, RoundDepth, Rounding, count, human
from specs import specs

B0 = spec("efficientnet_b0")


# ---- values ----------------------------------------------------------------------------------------------------------


@given(specs)
def test_a_spec_survives_json(arch: ArchSpec) -> None:
    again = from_json(ArchSpec, to_json(arch), PARTS)
    assert again == arch
    assert hash(again) == hash(arch)
    assert to_json(again) == to_json(arch)


@pytest.mark.parametrize("name", names())
def test_a_published_spec_survives_json(name: str) -> None:
    assert from_json(ArchSpec, to_json(spec(name)), PARTS) == spec(name)


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        B0.name = "mine"  # type: ignore[misc]


@given(specs)
def test_a_plan_chains_widths_and_sides(arch: ArchSpec) -> None:
    nodes = plan(arch)
    assert len(nodes) == arch.depth + 2
    assert len({node.path for node in nodes}) == len(nodes)
    for before, after in pairwise(nodes):
        assert after.c_in == before.c_out
        assert after.ins == before.outs
    rates = [node.drop_path for node in nodes[1:-1]]
    assert rates == sorted(rates)
    assert rates[0] == 0.0


def test_stochastic_depth_of_b0_is_the_sheet_s() -> None:
    rates = [node.drop_path for node in plan(B0)[1:-1]]
    assert rates == pytest.approx([0.0125 * block for block in range(16)])  # released code: rate * b / N


# ---- growing ---------------------------------------------------------------------------------------------------------

# fmt: off
GOLDEN_WIDTHS = [  # spec sheet 1.3, derived from the released round_filters
    (1.0, [ 16,  24,  40,  80, 112, 192,  320],  32, 1280),
    (1.1, [ 16,  24,  48,  88, 120, 208,  352],  32, 1408),
    (1.2, [ 24,  32,  48,  96, 136, 232,  384],  40, 1536),
    (1.4, [ 24,  32,  56, 112, 160, 272,  448],  48, 1792),
    (1.6, [ 24,  40,  64, 128, 176, 304,  512],  48, 2048),
    (1.8, [ 32,  40,  72, 144, 200, 344,  576],  56, 2304),
    (2.0, [ 32,  48,  80, 160, 224, 384,  640],  64, 2560),
    (2.2, [ 32,  56,  88, 176, 248, 424,  704],  72, 2816),
    (4.3, [ 72, 104, 176, 344, 480, 824, 1376], 136, 5504),
]
GOLDEN_REPEATS = [
    (1.0, [1,  2,  2,  3,  3,  4, 1]),
    (1.1, [2,  3,  3,  4,  4,  5, 2]),
    (1.4, [2,  3,  3,  5,  5,  6, 2]),
    (1.8, [2,  4,  4,  6,  6,  8, 2]),
    (2.2, [3,  5,  5,  7,  7,  9, 3]),
    (2.6, [3,  6,  6,  8,  8, 11, 3]),
    (3.1, [4,  7,  7, 10, 10, 13, 4]),
    (3.6, [4,  8,  8, 11, 11, 15, 4]),
    (5.3, [6, 11, 11, 16, 16, 22, 6]),
]
# fmt: on


@pytest.mark.parametrize(("width", "stages", "stem", "head"), GOLDEN_WIDTHS)
def test_widths_round_as_the_released_code_does(width: float, stages: list[int], stem: int, head: int) -> None:
    arch = grown(B0, width=width, rounding=Rounding())
    assert [stage.width for stage in arch.stages] == stages
    assert arch.stem.width == stem
    assert isinstance(arch.head, PooledClassifier)
    assert arch.head.width == head


@pytest.mark.parametrize(("depth", "repeats"), GOLDEN_REPEATS)
def test_repeats_round_up(depth: float, repeats: list[int]) -> None:
    assert [stage.depth for stage in grown(B0, depth=depth, rounding=Rounding()).stages] == repeats


def test_a_product_that_means_an_integer_adds_no_block() -> None:
    # 10 * 1.1 is 11.000000000000002 in floating point.
    assert Rounding().repeats(10 * 1.1) == 11


@given(st.floats(0.05, 8), st.integers(1, 200))
def test_rounded_widths_keep_nine_tenths(factor: float, eighths: int) -> None:
    channels = 8 * eighths
    rounded = Rounding().width(factor * channels)
    assert rounded % 8 == 0
    assert rounded >= max(8, 0.9 * factor * channels)
    assert rounded <= max(8, factor * channels + 8)
    assert Rounding().width(channels) == channels


@given(specs)
def test_growing_by_one_changes_nothing(arch: ArchSpec) -> None:
    assert grown(arch, rounding=Rounding()) == arch


def test_rounding_is_part_of_the_rule() -> None:
    tiny = Rounding(depth=RoundDepth.NEAREST, keep_stem=True, least_head=1280)
    arch = grown(B0, depth=0.6, width=0.5, rounding=tiny)
    assert [stage.depth for stage in arch.stages] == [1, 1, 1, 2, 2, 2, 1]
    assert arch.stem.width == 32
    assert isinstance(arch.head, PooledClassifier)
    assert arch.head.width == 1280


# ---- bad values ------------------------------------------------------------------------------------------------------


def test_a_wrong_file_is_told_field_by_field() -> None:
    data = to_data(B0)
    data["stages"][2]["block"]["kernle"] = 3
    data["stages"][1]["block"]["kernel"] = "x"
    data["stem"]["kind"] = "conv_stm"
    data["style"]["norm"]["act"] = "rellu"
    del data["head"]["classes"]
    with pytest.raises(UserError) as caught:
        from_json(ArchSpec, json.dumps(data), PARTS)
    message = str(caught.value)
    for expected in (
        "stages[2].block.kernle: no such field; allowed are kernel, expand, se, mixer, skips; did you mean 'kernel'?",
        'stages[1].block.kernel: "x": input should be a valid integer',
        "stem.kind: 'conv_stm' is none of conv_stem, deep_stem, latent_stem, shrinking_stem; did you mean 'conv_stem'?",
        "style.norm.act: 'rellu' is none of none, relu, relu6, silu, hard_swish, gelu, sigmoid, hard_sigmoid; did you mean 'relu'?",
        "head.classes: missing",
    ):
        assert expected in message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"name": 3}', '{"stages": []}'])
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="spec is not"):
        from_json(ArchSpec, text, PARTS)


def test_values_that_make_no_sense_are_refused_where_they_are_made() -> None:
    with pytest.raises(ValueError, match="kernel must be odd"):
        MBConv(kernel=4)
    with pytest.raises(ValueError, match=r"stage\.depth must be at least 1"):
        Stage(MBConv(), depth=0, width=8, stride=1)
    with pytest.raises(ValueError, match=r"input\.mean has 3 values for 1 channels"):
        Image(resolution=32, channels=1)
    with pytest.raises(ValueError, match="at least one stage"):
        replace(B0, stages=())
    with pytest.raises(ValueError, match="drop_path must be in"):
        B0.with_style(drop_path=1.0)
    with pytest.raises(ValueError, match="groups must be at least 1"):
        GroupNorm(groups=0)


def test_a_value_out_of_range_in_a_file_names_the_file() -> None:
    data = to_data(B0)
    data["stages"][0]["block"]["kernel"] = 4
    with pytest.raises(UserError, match=r"mine\.json is not a valid ArchSpec: mbconv\.kernel must be odd"):
        from_json(ArchSpec, json.dumps(data), PARTS, source="mine.json")


# ---- units -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"), [("390M", 390_000_000), ("0.39B", 390_000_000), ("1.5g", 1_500_000_000), ("7", 7)]
)
def test_counts_are_read_as_people_write_them(text: str, value: int) -> None:
    assert count(text) == value


@given(st.integers(1, 10**13))
def test_a_printed_count_is_within_half_its_last_digit(value: int) -> None:
    assert count(human(value)) == pytest.approx(value, rel=0.006)


def test_budgets_parse_join_and_print() -> None:
    budget = Budget.parse("20M-macs, 1.5M-params")
    assert budget == Budget(macs=20_000_000, params=1_500_000)
    assert str(budget) == "20M-macs,1.5M-params"
    assert Budget.parse("5ms") == Budget(ms=5)
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("20M", "write 20M-macs"),
        ("20M-mac", "did you mean 'macs'"),
        ("0.8G-flops", "at 2 FLOPs per MAC this is 400M-macs"),
        ("fast", "is not a limit"),
        ("-5M-macs", "is not a limit"),
        ("0-macs", "admits nothing"),
        ("1M-macs,2M-macs", "limits macs twice"),
        ("", "is not a limit"),
        ("x-macs", "is not a count"),
    ],
)
def test_a_wrong_budget_says_how_to_write_one(text: str, said: str) -> None:
    with pytest.raises(BudgetError, match=said):
        Budget.parse(text)


def test_a_budget_admits_what_is_within_every_limit() -> None:
    budget = Budget.parse("100-macs,10-params")
    assert budget.admits(Cost(macs=100, params=10))
    assert not budget.admits(Cost(macs=101, params=1))
    assert not budget.admits(Cost(macs=1, params=11))
    assert budget.slack(Cost(macs=50, params=20)) == {"macs": 0.5, "params": -1.0}


def test_nearest_forgives_case_and_hyphens() -> None:
    assert nearest("EfficientNet-B0", ["efficientnet_b0", "resnet50"]) == "; did you mean 'efficientnet_b0'?"
    assert nearest("zzz", ["efficientnet_b0"]) == ""


def test_another_style_or_number_of_channels_is_another_value() -> None:
    grey = B0.with_channels(1)
    assert grey.input.mean == pytest.approx((0.449,))
    grouped = B0.with_style(norm=GroupNorm())
    assert grouped != B0
    assert grouped.with_style(norm=B0.style.norm) == B0
    assert isinstance(B0.style.norm, BatchNorm)
