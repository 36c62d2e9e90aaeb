"""Evolution keeps its word: cheap refusals first, each item scored once, the same seed the same search."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import islice

import pytest
from hypothesis import given, strategies

from convsmith.errors import UserError
from convsmith.evolution import (
    Generation,
    Scored,
    best,
    crowding,
    dominates,
    evolve,
    front,
    nsga2,
    ranks,
    reward,
    tournament,
    youngest,
)

SIDE = 12
POINTS = strategies.lists(strategies.tuples(strategies.integers(0, 6), strategies.integers(0, 6)), max_size=24)


def step(item: tuple[int, int], rng: random.Random) -> tuple[int, int]:
    x, y = item
    return min(max(x + rng.choice((-1, 0, 1)), 0), SIDE), min(max(y + rng.choice((-1, 0, 1)), 0), SIDE)


def hill(items: Sequence[tuple[int, int]]) -> list[tuple[float, ...]]:
    return [(-((x - 9) ** 2) - (y - 4) ** 2 + 0.1 * x,) for x, y in items]


def run(rounds: int, *, seed: int = 0, score=hill, admits=lambda item: True, **options) -> list[Generation]:  # type: ignore[no-untyped-def]
    steps = evolve([(0, 0)], step, score, admits, random.Random(seed), **({"size": 6, "offspring": 12} | options))
    return list(islice(steps, rounds))


def test_it_finds_what_trying_everything_finds() -> None:
    everything = [(x, y) for x in range(SIDE + 1) for y in range(SIDE + 1) if x + y <= 11]
    truth = max(everything, key=lambda item: hill([item])[0])
    assert run(30, admits=lambda item: sum(item) <= 11)[-1].members[0].item == truth


def test_what_is_refused_is_never_scored_and_nothing_is_scored_twice() -> None:
    seen: list[tuple[int, int]] = []

    def score(items: Sequence[tuple[int, int]]) -> list[tuple[float, ...]]:
        seen.extend(items)
        return hill(items)

    run(20, score=score, admits=lambda item: item[0] != 5)
    assert len(seen) == len(set(seen))
    assert not any(x == 5 for x, _ in seen)


def test_the_best_never_gets_worse_and_the_same_seed_is_the_same_search() -> None:
    one, other = run(15), run(15)
    assert one == other
    tops = [generation.members[0].scores[0] for generation in one]
    assert tops == sorted(tops)
    assert [generation.index for generation in one] == list(range(15))


def test_a_search_that_is_run_again_with_what_it_knew_scores_only_what_is_new() -> None:
    known: dict[tuple[int, int], tuple[float, ...]] = {}
    dear: list[int] = []

    def score(items: Sequence[tuple[int, int]]) -> list[tuple[float, ...]]:
        new = [item for item in items if item not in known]
        dear.append(len(new))
        known.update(zip(new, hill(new), strict=True))
        return [known[item] for item in items]

    stopped = run(8, score=score)
    dear.clear()
    whole = run(15, score=score)
    assert whole[:8] == stopped
    assert sum(dear[:8]) == 0 < sum(dear[8:])


def test_a_world_that_is_used_up_ends_in_empty_generations_not_in_a_loop() -> None:
    steps = evolve(
        [0],
        lambda item, rng: item ^ 1,
        lambda items: [(0.0,)] * len(items),
        lambda item: True,
        random.Random(0),
        size=4,
        offspring=5,
    )
    sizes = [len(generation.born) for generation in islice(steps, 5)]
    assert sizes == [1, 1, 0, 0, 0]


def test_nothing_to_begin_with_is_said() -> None:
    with pytest.raises(UserError, match="none of the 1 items to begin with is admitted"):
        run(1, admits=lambda item: False)
    with pytest.raises(UserError, match="finite scores"):
        run(1, score=lambda items: [(math.nan,)] * len(items))
    with pytest.raises(UserError, match="size=0"):
        run(1, size=0)


def test_what_has_no_finite_score_is_not_kept() -> None:
    def score(items: Sequence[tuple[int, int]]) -> list[tuple[float, ...]]:
        return [(math.nan if x > 3 else float(x),) for x, _ in items]

    assert all(one.item[0] <= 3 for generation in run(15, score=score) for one in generation.members)


# ---- several aims --------------------------------------------------------------------------------------------------


@given(POINTS)
def test_no_member_of_a_front_is_dominated_and_all_others_are(points: list[tuple[int, int]]) -> None:
    chosen = front(points)
    for i, own in enumerate(points):
        assert (i in chosen) is not any(dominates(other, own) for other in points)


@given(POINTS)
def test_a_rank_is_one_more_than_that_of_its_best_dominator(points: list[tuple[int, int]]) -> None:
    found = ranks(points)
    for i, own in enumerate(points):
        above = [found[j] for j, other in enumerate(points) if dominates(other, own)]
        assert found[i] == max(above, default=-1) + 1


def test_the_ends_of_a_front_are_the_loneliest() -> None:
    line = [(0.0, 10.0), (1.0, 9.0), (2.0, 8.0), (9.0, 1.0), (10.0, 0.0)]
    alone = crowding(line)
    assert alone[0] == alone[-1] == math.inf
    assert alone[1] == pytest.approx(0.2 + 0.2)
    assert alone[3] == pytest.approx(0.8 + 0.8)
    assert crowding([]) == []


def test_nsga2_keeps_the_front_and_its_ends() -> None:
    items = [Scored(i, values) for i, values in enumerate([(0.0, 4.0), (1.0, 3.9), (1.1, 3.8), (4.0, 0.0), (0.0, 0.0)])]
    kept = nsga2(items, 2)
    assert {one.item for one in kept} == {0, 3}
    assert [one.item for one in best(items, 1)] == [3]


def test_the_reward_is_the_printed_formula() -> None:
    """Doubling the cost must buy 5 %: 1.05 * 2**-0.07 = 1.0003 (MnasNet)."""
    assert reward(0.76 * 1.05, 160, 80) == pytest.approx(reward(0.76, 80, 80), rel=1e-3)
    assert reward(0.5, 40, 80, below=0, above=-1) == 0.5
    assert reward(0.5, 160, 80, below=0, above=-1) == 0.25
    with pytest.raises(UserError, match="above 0"):
        reward(0.5, 0, 80)


def test_parents_come_from_the_front_of_a_tournament_and_equals_are_all_kept() -> None:
    members = [
        Scored(name, scores) for name, scores in zip("abcd", [(3, 1, 1), (1, 3, 1), (2, 2, 2), (1, 1, 1)], strict=True)
    ]
    rng, whole = random.Random(0), tournament(4)
    assert {whole(members, rng).item for _ in range(200)} == set("abc")
    # Of two, the dominated one has children only where it is drawn twice, which nothing is.
    assert {tournament(2)(members[2:], rng).item for _ in range(50)} == {"c"}
    twins = [Scored(name, (1.0, 2.0)) for name in "xy"]
    assert {tournament(2)(twins, rng).item for _ in range(50)} == {"x", "y"}
    alone = {tournament(1)(members, rng).item for _ in range(200)}
    assert alone == set("abcd")  # a tournament of one is a draw from all
    with pytest.raises(UserError, match="at least one member"):
        tournament(0)


def test_a_tournament_by_the_mean_has_one_winner() -> None:
    def highest(scores: Sequence[tuple[float, ...]]) -> list[int]:
        return [max(range(len(scores)), key=lambda i: sum(scores[i]))]

    members = [Scored("a", (9.0, 0.0)), Scored("b", (5.0, 5.0)), Scored("c", (0.0, 8.0))]
    assert {tournament(3, highest)(members, random.Random(seed)).item for seed in range(20)} == {"b"}


def test_where_the_oldest_leave_only_the_last_to_come_are_kept() -> None:
    generations = run(12, select=youngest, parent=tournament(3))
    came = [one for generation in generations for one in generation.born]
    assert list(generations[-1].members) == came[-6:]
