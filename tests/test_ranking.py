"""Orders and how sure they are, and what a search makes of children that it cannot tell apart."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.evals.ranking import agreement
from convsmith.jobs.search.begin import SearchOptions
from convsmith.jobs.search.choose import choose
from convsmith.jobs.search.page import said_of
from convsmith.jobs.search.ranking import order_within
from convsmith.runs import Front
from convsmith.supernet import Genes
from convsmith.units import Budget
from supernets import FEW
from test_choosing import Known


def test_tau_is_scipys_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(0)
    for n in (3, 12, 20):
        one = rng.integers(0, 8, n).astype(float)
        other = one + rng.normal(0, 3, n)
        found = agreement(list(one), list(other))
        assert found.tau == pytest.approx(kendalltau(one, other).statistic) and found.n == n
        assert found.low <= found.tau <= found.high
        assert agreement(list(one), list(other)) == found, "what is drawn is the same every time"


def test_the_same_order_is_sure_the_reverse_is_not_and_no_order_is_none() -> None:
    up = [float(i) for i in range(12)]
    assert agreement(up, up).tau == 1 and agreement(up, up).sure
    assert agreement(up, up[::-1]).tau == -1 and not agreement(up, up[::-1]).sure
    level = agreement(up, [1.0] * 12)
    assert math.isnan(level.tau) and not level.sure
    for bad in ([1.0], up[:-1]):
        with pytest.raises(UserError, match="two scores of each"):
            agreement(up, bad)


def test_an_interval_promises_what_it_keeps() -> None:
    """Of orders that have nothing to do with each other about one in twenty looks as if it had."""
    rng = np.random.default_rng(1)
    sure = sum(agreement(list(rng.random(16)), list(rng.random(16)), draws=200).sure for _ in range(200))
    # 5 are expected on this side; a bootstrap of 16 things is known to promise too much: up to three times that.
    assert sure <= 15


# ---- in a search -----------------------------------------------------------------------------------------------------

TO = {"a": Budget(macs=3e6), "b": Budget(macs=8e6)}
HOW = SearchOptions(rounds=3, per_round=12)


class Level(Known):
    """All score nearly the same."""

    def __call__(self, wanted: list[Genes]) -> list[float]:
        super().__call__(wanted)
        self.known |= {genes: 0.9 + 0.02 * random.Random(str(genes)).random() for genes in wanted}
        return [self.known[genes] for genes in wanted]


def noise(wanted: Sequence[Genes]) -> list[tuple[float, float]]:
    return [(random.Random(str(genes)).random(), random.Random(f"{genes} again").random()) for genes in wanted]


def alike(wanted: Sequence[Genes]) -> list[tuple[float, float]]:
    return [(sum(genes), sum(genes)) for genes in wanted]


def chosen(halves) -> Front:  # type: ignore[no-untyped-def]
    return choose(FEW, Level(), TO, None, HOW, 0, halves=halves)  # type: ignore[arg-type]


def test_where_halves_agree_the_best_wins_and_where_they_do_not_one_as_good_and_cheaper() -> None:
    best, sure, unsure = chosen(None), chosen(alike), chosen(noise)
    assert sure.winners == best.winners and best.ranked == ()
    assert [order.sure for order in sure.ranked] == [True, True]
    assert [order.sure for order in unsure.ranked] == [False, False]
    assert [order.n for order in unsure.ranked] == [16, 16]
    for old, new, order in zip(best.winners, unsure.winners, unsure.ranked, strict=True):
        assert order.cheaper == (new != old)
        assert new.macs <= old.macs and new.macs >= 0.9 * old.macs and new.budget == old.budget
        interval = old.score.interval
        assert interval is not None and new.score.value >= (old.score.value + interval[0]) / 2
    assert any(order.cheaper for order in unsure.ranked)
    assert chosen(noise).winners == unsure.winners


def test_a_front_that_says_what_it_ranked_is_read_again_and_one_that_does_not_is_as_it_was() -> None:
    unsure = chosen(noise)
    assert Front.from_record(unsure.to_record()) == unsure
    assert "ranked" not in chosen(None).to_record()
    assert "the search cannot rank them" in said_of(unsure.ranked[0])
    level = replace(unsure.ranked[0], tau=None, low=None, high=None)
    assert not level.sure and "none, all score the same" in said_of(level)


def test_a_cost_that_no_dozen_children_have_is_not_looked_at() -> None:
    assert order_within(FEW, alike, 0.5 * cost(FEW.smallest()).macs, random.Random(0)) is None
