"""What `pick` ranks: published priors under a budget, scaled members between them, and what cannot be told apart."""

from __future__ import annotations

import pytest

from convsmith.costs import cost
from convsmith.errors import BudgetError, UserError
from convsmith.jobs.timing.pick import pick
from convsmith.ledger import published
from convsmith.units import Budget


def test_every_pick_meets_the_budget_and_carries_its_paper_s_number() -> None:
    found = pick("300M-macs,5M-params", timed=False, scaled=False, top=20)
    rows = {(row.macs, row.params): row for row in published()}
    assert len(found.picks) == 20
    for one in found.picks:
        assert cost(one.spec).macs <= 300e6
        assert cost(one.spec).params <= 5e6
        row = rows[(one.cost.macs, one.cost.params)]
        assert (one.prior, one.source) == (row.paper_top1, row.source)
    assert [one.prior for one in found.picks] == sorted((one.prior for one in found.picks), reverse=True)


def test_a_scaled_member_s_prior_lies_between_its_published_neighbours() -> None:
    found = pick("300M-macs", timed=False)
    scaled = [one for one in found.picks if one.between]
    assert scaled
    numbers = {row.name: row.paper_top1 for row in published()}
    for one in scaled:
        assert one.cost.macs <= 300e6
        ends = [numbers[name] for name in one.between if name in numbers]
        assert all(end is not None for end in ends)
        if len(ends) == 2:
            assert min(ends) <= one.prior <= max(ends)  # type: ignore[type-var]
        assert one.source == "interpolated"


def test_what_lies_within_the_validation_set_s_noise_is_said() -> None:
    # 74.9 and 75.0 % of 50,000 images differ by less than their sampling error of 0.5 points.
    found = pick("1G-macs", timed=False, scaled=False, top=30)
    best = found.picks[0]
    near = [one.name for one in found.picks[1:] if best.prior - one.prior < 0.3]
    said = [note for note in found.notes if note.startswith(f"Within noise of {best.name}")]
    assert bool(near) == bool(said)


def test_as_many_are_shown_as_are_asked_for_and_what_a_tilde_means_is_said() -> None:
    found = pick("300M-macs", timed=False, top=8)
    assert len(found.picks) == 8 and any(one.between for one in found.picks)
    assert any(note.startswith("~: interpolated") for note in found.notes)
    assert not any(note.startswith("~") for note in pick("300M-macs", timed=False, scaled=False, top=8).notes)


@pytest.mark.parametrize("budget", ["300M-macs", "5ms"])
def test_a_dry_run_measures_nothing_and_says_what_it_would(budget: str) -> None:
    found = pick(budget, top=3, dry_run=True)
    assert len(found.picks) == 3 and all(one.latency is None for one in found.picks)
    assert any(note.endswith("nothing was measured.") for note in found.notes)


def test_a_network_that_fits_and_has_no_published_number_is_named() -> None:
    with pytest.raises(BudgetError, match=r"2.28G MACs, \S+ parameters. Without a published top-1.*resnet18"):
        pick("2G-macs", pattern="resnet*", family=None, timed=False)


def test_an_impossible_budget_names_the_smallest() -> None:
    with pytest.raises(BudgetError, match="the smallest that matches is tinynet_e"):
        pick("1M-macs", pattern="tinynet*", timed=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"family": "tinynets"}, "did you mean 'tinynet'"), ({"pattern": "no_such"}, "no network of the ledger")],
)
def test_a_wrong_name_is_told(change: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        pick("1G-macs", timed=False, **change)  # type: ignore[arg-type]


def test_how_long_it_took_is_said_where_something_was_timed() -> None:
    found = pick("30M-macs", pattern="tinynet_e", scaled=False, rounds=3)
    assert found.notes[-1].startswith("It took ") and found.picks[0].latency is not None
    assert not any("took" in note for note in pick("30M-macs", pattern="tinynet_e", timed=False).notes)


def test_milliseconds_without_measuring_are_refused() -> None:
    with pytest.raises(UserError, match="need measuring"):
        pick(Budget(ms=5), timed=False)


def test_a_budget_in_ms_is_met_as_measured() -> None:
    found = pick("400ms", pattern="tinynet_e", top=2, rounds=3)
    assert [one.name for one in found.picks] == ["tinynet_e"]
    assert all(one.latency is not None and one.latency.median_ms <= 400 for one in found.picks)
