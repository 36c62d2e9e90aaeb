"""Choosing children by scores, predictions and measurements: the best seen that its budget admits, whatever the predictions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings, strategies

from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.evals.intervals import counted
from convsmith.jobs.search.begin import SearchOptions, Selector
from convsmith.jobs.search.choose import choose
from convsmith.scores import Metric, Unit, named
from convsmith.supernet import T32, Counting, Genes, Space
from convsmith.units import Budget
from supernets import TINY


class Known:
    """A scorer that knows every child's score."""

    n = 100

    def __init__(self) -> None:
        self.known: dict[Genes, float] = {}

    def __call__(self, wanted: list[Genes]) -> list[float]:
        for genes in wanted:
            self.known[genes] = random.Random(str(genes)).random()
        return [self.known[genes] for genes in wanted]

    def metric(self, genes: Genes) -> Metric:
        return counted(named("top1", self.known[genes]), self.n)


class Clock:
    """Predicts by multiply-adds; what it measures is `off` times as much."""

    def __init__(self, space: Space, off: float = 1.2) -> None:
        self.counting, self.off = Counting(space), off

    def __call__(self, genes: Genes) -> float:
        return self.counting(genes).macs / 1e5

    def measured(self, genes: Genes, times: int = 1) -> float:
        return self.off * self(genes)


@settings(max_examples=15, deadline=None)
@given(
    share=strategies.floats(0.05, 1.0),
    seed=strategies.integers(0, 9),
    off=strategies.floats(0.5, 3.0),
    select=strategies.sampled_from(list(Selector)),
)
def test_whatever_the_prediction_what_is_handed_over_measured_within_its_budget(
    share: float, seed: int, off: float, select: Selector
) -> None:
    clock = Clock(TINY, off)
    ends = [clock.measured(TINY.genes(spec)) for spec in (TINY.smallest(), TINY.biggest())]
    limit = ends[0] * 1.02 + share * (ends[1] - ends[0])
    budgets = {"a": Budget(ms=limit), "b": Budget(ms=limit * 2)}
    how = SearchOptions(rounds=2, per_round=4, select=select)
    found = choose(TINY, Known(), budgets, clock, how, seed)  # type: ignore[arg-type]
    assert [row.ms is not None and row.ms <= budgets[row.budget].ms for row in found.winners] == [True, True]
    assert choose(TINY, Known(), budgets, clock, how, seed).winners == found.winners  # type: ignore[arg-type]


def test_predictions_that_are_far_too_hopeful_cost_another_look_and_no_accuracy() -> None:
    """At 1.3 times what was predicted, of the large space: a child in the middle, not the smallest."""
    clock = Clock(T32, 1.3)
    limit = clock.measured(T32.genes(T32.biggest())) / 3
    known = Known()
    found = choose(T32, known, {"x": Budget(ms=limit)}, clock, SearchOptions(), 0)  # type: ignore[arg-type]
    (winner,) = found.winners
    within = sorted((top1 for genes, top1 in known.known.items() if clock.measured(genes) <= limit), reverse=True)
    assert winner.ms is not None and winner.ms <= limit and winner.score.value == within[0]


def test_a_child_that_measured_within_its_budget_once_is_measured_again() -> None:
    class Nervous(Clock):
        """The first measurement of a child is always too hopeful."""

        def measured(self, genes: Genes, times: int = 1) -> float:
            return self(genes) * (0.5 if times == 1 else self.off)

    clock = Nervous(TINY)
    limit = clock.measured(TINY.genes(TINY.smallest()), 2) * 1.5
    found = choose(TINY, Known(), {"x": Budget(ms=limit)}, clock, SearchOptions(rounds=1, per_round=3), 0)  # type: ignore[arg-type]
    (winner,) = found.winners
    assert winner.ms == clock.measured(winner.genes, 2) <= limit


def test_whoever_was_scored_first_equals_are_chosen_alike() -> None:
    class Ties(Known):
        """Scores of few images; those of one call arrive as processes end, in any order."""

        def __init__(self, order: int) -> None:
            super().__init__()
            self.order = random.Random(order)

        def __call__(self, wanted: list[Genes]) -> list[float]:
            for genes in self.order.sample(list(wanted), len(wanted)):
                self.known[genes] = random.Random(str(genes)).randrange(3) / 3
            return [self.known[genes] for genes in wanted]

    budgets = {"x": Budget(macs=2 * cost(TINY.smallest()).macs)}
    for select in Selector:
        how = SearchOptions(rounds=2, per_round=6, select=select)
        one, other = (choose(TINY, Ties(order), budgets, None, how, 0) for order in (1, 2))  # type: ignore[arg-type]
        assert one == other


def test_where_every_budget_is_in_milliseconds_the_front_is() -> None:
    clock = Clock(T32)
    most = clock.measured(T32.genes(T32.biggest()))
    budgets = {"a": Budget(ms=most / 4), "b": Budget(ms=most / 2, macs=10**9)}
    found = choose(T32, Known(), budgets, clock, SearchOptions(rounds=1, per_round=4), 0)  # type: ignore[arg-type]
    front = [(row.on("ms"), row.score.value) for row in found.front]
    assert found.axis == "ms" and front == sorted(front)
    for ms, top1 in found.tried:
        assert any(own <= ms and better >= top1 for own, better in front)
    for row in found.front:
        assert row.score.interval is not None
        low, high = row.score.interval
        assert low <= row.score.value <= high


def test_a_wider_budget_never_gets_a_worse_child() -> None:
    macs = cost(TINY.smallest()).macs
    budgets = {f"{k}": Budget(macs=macs * k) for k in (1.5, 2, 3, 4)}
    found = choose(TINY, Known(), budgets, None, SearchOptions(rounds=3, per_round=5), 0)  # type: ignore[arg-type]
    tops = [row.score.value for row in found.winners]
    assert tops == sorted(tops)


def test_a_limit_that_only_the_measurement_breaks_is_told() -> None:
    clock = Clock(TINY)
    limit = clock(TINY.genes(TINY.smallest())) * 1.05  # predicted within, measured 14 % above
    with pytest.raises(UserError, match="the smallest takes"):
        choose(TINY, Known(), {"x": Budget(ms=limit)}, clock, SearchOptions(rounds=1, per_round=2), 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("select", list(Selector))
def test_every_selector_hands_over_what_the_budgets_admit(select: Selector) -> None:
    macs, known = cost(TINY.smallest()).macs, Known()
    budgets = {f"{k}": Budget(macs=macs * k) for k in (1, 1.5, 3)}
    how = SearchOptions(rounds=2, per_round=6, select=select)
    found = choose(TINY, known, budgets, None, how, 0)  # type: ignore[arg-type]
    for row in found.winners:
        limit = budgets[row.budget].macs
        assert row.macs <= limit
        # The best within the budget of all that this selector has seen.
        counting = Counting(TINY)
        assert row.score.value == max(top1 for genes, top1 in known.known.items() if counting(genes).macs <= limit)
    again = choose(TINY, Known(), budgets, None, how, 0)  # type: ignore[arg-type]
    assert again.winners == found.winners


def test_where_less_is_better_the_least_is_chosen_and_reward_refuses() -> None:
    class Far(Known):
        """Pixels off; `known` holds what they are worth."""

        def __call__(self, wanted: list[Genes]) -> list[float]:
            for genes in wanted:
                self.known[genes] = -100 * random.Random(str(genes)).random()
            return [self.known[genes] for genes in wanted]

        def metric(self, genes: Genes) -> Metric:
            return Metric("off", -self.known[genes], unit=Unit.PIXELS, more_is_better=False)

    known, budgets = Far(), {"x": Budget(macs=10**9)}
    found = choose(TINY, known, budgets, None, SearchOptions(rounds=2, per_round=4), 0)  # type: ignore[arg-type]
    assert found.winners[0].score.value == min(score for _, score in found.tried) == -max(known.known.values())
    front = [row.score.value for row in found.front]
    assert front == sorted(front, reverse=True), "the dearer, the closer"
    with pytest.raises(UserError, match="off is none"):
        choose(TINY, Far(), budgets, None, SearchOptions(select=Selector.REWARD), 0)  # type: ignore[arg-type]
