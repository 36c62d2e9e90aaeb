"""The published series as the rules make them: the page says what the rules give, and its numbers are the sheets'."""

from __future__ import annotations

import pytest

from reconstructions import PAGE, inverse, page, resnet_rs, square_root, table3, table7, table7_matched, tinynet


def test_the_page_is_what_the_rules_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python bench/reconstructions.py`"


def test_tinynets_are_the_released_ones_and_within_two_percent_of_the_print() -> None:
    # golden/tinynet.csv, macs_measured.
    assert [line.macs for line in tinynet()] == [336_867_712, 200_709_360, 99_536_432, 51_580_656, 24_356_848]
    assert max(abs(line.difference) for line in tinynet()) < 0.02


def test_the_printed_formula_overshoots_c_to_e_by_forty_to_sixty_three_percent() -> None:
    # Sheet 1.4: 0.99, 1.05, 1.44, 1.40, 1.63 of the target.
    assert [1 + line.difference for line in square_root()] == pytest.approx([0.99, 1.05, 1.44, 1.40, 1.63], abs=0.006)


def test_the_inverse_series_fills_the_paper_s_costs() -> None:
    # Sheet 1.5 has 199.2, 97.6, 49.8, 23.2 M; the side's rounding moves the second by 0.1 %.
    found = [line.macs for line in inverse()]
    assert found == pytest.approx([199_209_536, 97_584_032, 49_797_168, 23_223_504], rel=2e-3)


def test_the_resnet_rs_rule_stays_within_a_tenth_of_each_published_cost() -> None:
    assert all(-0.1 < line.difference <= 1e-6 for line in resnet_rs())


def test_table_three_is_the_sheet_s() -> None:
    # efficientnet.md 1.5, in G: measured for the sheet by the same integer rules.
    sheet = [0.569, 2.216, 2.272, 2.47, 0.301, 1.220, 1.137, 1.199, 4.089, 14.57, 16.12, 16.35]
    for line, expected in zip(table3(), sheet, strict=False):
        digits = len(str(expected).partition(".")[2])
        assert line.macs / 1e9 == pytest.approx(expected, abs=0.6 * 10**-digits), (line.name, line.how)


def test_table_seven_is_the_sheet_s_and_its_arms_cost_less_than_printed() -> None:
    # golden/efficientnet.csv, rows table7_*.
    assert [line.macs for line in table7()] == [1_575_132_640, 1_449_958_848, 1_537_537_408, 1_800_091_280]
    assert all(line.difference < -0.12 for line in list(table7())[:3])


def test_matched_arms_lie_within_three_percent_below_the_compound_one() -> None:
    assert all(-0.03 < line.difference <= 1e-6 for line in table7_matched())
