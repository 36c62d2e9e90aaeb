"""Selection from a supernet's space: costs are exact, budgets are kept, and the coarse grid is what it says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

import convsmith as cs
from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.supernet import BIGNAS, T32, Axes, Genes, Space, space_from
from convsmith.supernet.counting import Counting
from convsmith.supernet.selection import coarse_to_fine, moved, nondominated, skeletons

SPACES = {
    "t32": T32,
    "bignas": BIGNAS,
    "resnet": space_from(cs.spec("resnet18").with_resolution(64)),
    "mobilenet": space_from(cs.spec("mobilenetv2_050").with_resolution(64), resolution=(48,), kernel=(), expand=(3,)),
}
# 72 children, of which the grid, all stages at one level, holds 12.
TOY = Space(
    base=T32.base,
    stages=(Axes(), Axes(depth=(1, 2, 3), kernel=(3, 5)), Axes(depth=(1, 2, 3), kernel=(3, 5)), Axes()),
    resolution=(20, 32),
)


@pytest.mark.parametrize("name", SPACES)
def test_a_childs_cost_is_that_of_its_spec(name: str) -> None:
    space, rng = SPACES[name], random.Random(0)
    counting = Counting(space)
    specs = [space.smallest(), space.biggest(), *(space.sample(rng) for _ in range(8))]
    for spec in [*specs, *specs[::-1]]:  # once learnt and once looked up
        assert counting(space.genes(spec)) == cost(spec)


def test_a_larger_value_of_any_axis_never_costs_less() -> None:
    counting, rng = Counting(T32), random.Random(1)
    for _ in range(40):
        genes = T32.genes(T32.sample(rng))
        for index, axis in enumerate(T32.axes):
            for more in (value for value in axis.values if value > genes[index]):
                other = counting((*genes[:index], more, *genes[index + 1 :]))
                assert other.macs >= counting(genes).macs
                assert other.params >= counting(genes).params


def test_the_grid_moves_all_stages_together() -> None:
    grid = skeletons(T32)
    # 4 resolutions, 3 different depths of 4 levels, 2 widths, 2 kernels; the expansion is fixed.
    assert len(grid) == 4 * 3 * 2 * 2
    assert T32.genes(T32.smallest()) in grid
    assert T32.genes(T32.biggest()) in grid
    for genes in grid:
        spec = T32.spec(genes)
        assert len({stage.depth for stage in spec.stages[1:]}) == 1
        assert len({stage.block.kernel for stage in spec.stages[1:]}) == 1  # type: ignore[attr-defined]


def test_a_move_changes_an_axis_and_stays_in_the_space() -> None:
    rng, genes = random.Random(2), T32.genes(T32.smallest())
    for _ in range(50):
        new = moved(T32, genes, rng)
        assert new != genes
        T32.spec(new)
        genes = new
    one = replace(TOY, stages=(Axes(), Axes(), Axes(), Axes()), resolution=())
    only = one.genes(one.smallest())
    assert moved(one, only, rng) == only


def value(genes: Genes) -> float:
    """An accuracy that depends on every gene, and that stages of unequal depth are best at: off the grid."""
    return sum(gene * (index + 1) % 7 for index, gene in enumerate(genes)) + abs(genes[7] - genes[11])


def everything(space: Space) -> list[Genes]:
    found: list[Genes] = [()]
    for axis in space.axes:
        found = [(*genes, one) for genes in found for one in axis.values]
    return found


def test_in_a_small_space_the_best_of_all_within_the_budget_is_found() -> None:
    counting = Counting(TOY)
    middle = sorted(counting(genes).macs for genes in everything(TOY))[36]
    scored: list[Genes] = []

    def score(wanted: Sequence[Genes]) -> list[float]:
        scored.extend(wanted)
        return [value(genes) for genes in wanted]

    budgets = {"half": lambda genes: counting(genes).macs <= middle, "all": lambda genes: True}
    found = coarse_to_fine(TOY, score, budgets, random.Random(0), rounds=6, per_round=6)
    for name, admits in budgets.items():
        truth = max(value(genes) for genes in everything(TOY) if admits(genes))
        assert truth > max(value(genes) for genes in skeletons(TOY) if admits(genes)), (
            "the grid alone would not find it"
        )
        assert found[name].best[0][1] == truth
        assert all(admits(genes) for genes, _ in found[name].best)
    assert len(scored) == len(set(scored)) < TOY.size()


def test_a_budget_below_the_smallest_child_is_named() -> None:
    with pytest.raises(UserError, match="meets 1M-macs: the smallest is beyond it"):
        coarse_to_fine(T32, lambda wanted: [0.0] * len(wanted), {"1M-macs": lambda genes: False}, random.Random(), rounds=1,
                       per_round=1)  # fmt: skip


def test_a_budget_just_above_the_smallest_child_is_met() -> None:
    counting = Counting(T32)
    least = counting(T32.genes(T32.smallest())).macs
    budget = {"tight": lambda genes: counting(genes).macs <= least * 1.05}
    found = coarse_to_fine(T32, lambda w: [value(g) for g in w], budget, random.Random(0), rounds=4, per_round=8)
    assert all(counting(genes).macs <= least * 1.05 for genes, _ in found["tight"].best)


def test_a_front_of_the_space_has_no_member_that_another_beats() -> None:
    counting = Counting(TOY)
    found = nondominated(
        TOY, lambda w: [value(g) for g in w], lambda g: counting(g).macs, random.Random(0), size=12, rounds=20
    )
    best = {}
    for genes in everything(TOY):
        macs = counting(genes).macs
        if not any(counting(g).macs <= macs and value(g) > value(genes) for g in everything(TOY)):
            best[macs] = value(genes)
    ends = {-one.scores[1]: one.scores[0] for one in found}
    assert all(ends[macs] == top for macs, top in best.items())
