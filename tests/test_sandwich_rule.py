"""What a recipe may change of a sandwich: each lever does what it says, and none of them does nothing to what was before."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from convsmith.codec import from_json, to_json
from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.model import build
from convsmith.recipe import KINDS, Aggregation, Drawn, Recipe, SandwichRule, Teacher
from convsmith.recipes import QUICK, changed
from convsmith.supernet import (
    Counting,
    Sandwich,
    Supernet,
    drawn,
    ends,
    near,
    over_cost,
    sandwich,
    within_band,
)
from convsmith.supernet.drawing import drawn_by_cost
from convsmith.supernet.sandwich import Seen
from convsmith.training import Moment, Single, Watch
from convsmith.watcher import StepDone
from supernets import CLASSIFY, CPU, FEW, PLAIN, TINY, Feed, noise, stirred, train_supernet

MOMENT = Moment(step=0, steps=1, epoch=0, device=CPU)
IMAGES, LABELS = noise(8, 12), torch.arange(8) % 3
CHILDREN = drawn(TINY, seed=0, step=0, randoms=2)


def gradients(rule: SandwichRule, supernet: Supernet, **how: Any) -> dict[str, Tensor]:
    torch.manual_seed(0)  # the biggest child's dropout
    supernet.model.zero_grad(set_to_none=True)
    recipe = replace(PLAIN, sandwich=rule)
    sandwich(supernet, CLASSIFY, IMAGES, LABELS, how.pop("children", CHILDREN), recipe, MOMENT, **how)
    return {name: one.grad.clone() for name, one in supernet.model.named_parameters() if one.grad is not None}


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    for name, own in one.items():
        torch.testing.assert_close(own, other[name], rtol=1e-4, atol=1e-6)  # sums in single precision


# ---- the value -------------------------------------------------------------------------------------------------------


def test_what_was_written_before_there_was_a_rule_stays_as_it_was() -> None:
    assert "sandwich" not in to_json(QUICK)
    own = changed(QUICK, ["sandwich.first=0.25", "sandwich.drawn=cost", "sandwich.randoms=1"])
    assert own.sandwich == SandwichRule(first=0.25, drawn=Drawn.COST, randoms=1)
    assert from_json(Recipe, to_json(own), KINDS) == own
    assert changed(own, ["sandwich.first=0", "sandwich.drawn=genes", "sandwich.randoms=2"]) == QUICK


@pytest.mark.parametrize(
    "setting", ["randoms=-1", "randoms=65", "first=1.1", "labels=-0.1", "drawn=width", "teacher=me"]
)
def test_a_wrong_setting_names_the_field(setting: str) -> None:
    with pytest.raises(UserError, match=f"sandwich.{setting.split('=')[0]}"):
        changed(QUICK, [f"sandwich.{setting}"])


def test_one_network_has_no_children_to_train() -> None:
    with pytest.raises(UserError, match="`search` reads it"):
        Single(build(TINY.smallest(), seed=0), CLASSIFY, replace(PLAIN, sandwich=SandwichRule(randoms=1)))


def test_an_average_that_the_recipe_has_not_cannot_teach() -> None:
    taught = replace(PLAIN, average=0.0, sandwich=SandwichRule(teacher=Teacher.AVERAGE))
    with pytest.raises(UserError, match="--set average="):
        Sandwich(Supernet(TINY, seed=0), CLASSIFY, taught, seed=0)


# ---- a step ----------------------------------------------------------------------------------------------------------


def test_the_mean_of_gradients_is_their_sum_over_how_many_there_are() -> None:
    supernet = stirred(TINY)
    added = gradients(SandwichRule(), supernet)
    mean = gradients(SandwichRule(gradients=Aggregation.MEAN), supernet)
    assert_close(mean, {name: one / 4 for name, one in added.items()})


def test_labels_weigh_as_much_as_they_are_told() -> None:
    supernet = stirred(TINY)
    taught, labelled = gradients(SandwichRule(), supernet), gradients(SandwichRule(), supernet, labelled=True)
    mixed = gradients(SandwichRule(labels=0.25), supernet)
    assert_close(mixed, {name: 0.25 * labelled[name] + 0.75 * taught[name] for name in taught})
    assert_close(gradients(SandwichRule(labels=1.0), supernet), labelled)


def test_a_teacher_is_who_children_learn_from_and_learns_nothing() -> None:
    supernet, other = stirred(TINY), stirred(TINY, seed=5)
    child, teacher = TINY.smallest(), other.child(TINY.biggest())
    alone = gradients(SandwichRule(), supernet, children=())
    both = gradients(SandwichRule(), supernet, children=(child,), teacher=teacher)
    assert all(one.grad is None for one in other.model.parameters())
    supernet.model.zero_grad(set_to_none=True)
    with torch.no_grad():
        said = teacher(IMAGES)
    CLASSIFY.distilled(supernet.child(child)(IMAGES), said).backward()
    own = {name: one.grad for name, one in supernet.model.named_parameters() if one.grad is not None}
    assert_close({name: both[name] - alone[name] for name in own}, own)


# ---- a training ------------------------------------------------------------------------------------------------------


def test_the_biggest_is_alone_for_its_share_of_the_steps_and_the_average_teaches_after_it(tmp_path: Path) -> None:
    seen: list[tuple[int, bool]] = []

    def looked_at(*given: Any, **named: Any) -> Seen:
        seen.append((len(given[4]), named["teacher"] is not None))
        return sandwich(*given, **named)

    rule = SandwichRule(first=0.5, randoms=1, teacher=Teacher.AVERAGE)
    recipe = replace(PLAIN, epochs=2, average=0.9, sandwich=rule)
    for _ in train_supernet(
        Supernet(TINY, seed=0), recipe, Feed(), evaluate=lambda shipped: {}, checkpoint=tmp_path / "last.pt",
        gradients=looked_at,
    ):  # fmt: skip
        pass
    assert seen == [(0, True)] * 6 + [(2, True)] * 6


def test_a_killed_run_of_all_levers_resumes_to_the_same_weights(tmp_path: Path) -> None:
    rule = SandwichRule(1, 0.3, 0.5, Teacher.AVERAGE, Drawn.COST, Aggregation.MEAN)
    recipe = replace(PLAIN, epochs=2, average=0.9, sandwich=rule)
    weights = []
    for name, stop_at in (("whole", 0), ("killed", 8)):
        for stop in (stop_at, 0)[: 1 + bool(stop_at)]:
            supernet = Supernet(TINY, seed=0)
            for record in train_supernet(
                supernet, recipe, Feed(), evaluate=lambda shipped: {}, checkpoint=tmp_path / f"{name}.pt", watch_every=4
            ):
                if isinstance(record, StepDone) and record.step == stop:
                    break
        weights.append(supernet.model.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(*(own.values() for own in weights), strict=True))


def test_the_smallest_is_watched_once_it_is_trained_and_the_biggest_always() -> None:
    """Part of weights that were made without it, it is worse than a guess."""
    chance, supernet = math.log(3), Supernet(TINY, seed=0)
    recipe = replace(PLAIN, sandwich=SandwichRule(first=0.5))
    judged = ends(supernet, CLASSIFY, recipe, chance=chance).judged
    bad, good = (9.0, 0.5), (0.8, 0.5)
    assert judged(Watch(usual=bad), bad, 0.5) == "" and "biggest" in judged(Watch(usual=good), (0.8, 9.0), 0.5)
    assert judged(Watch(usual=bad), (8.0, 0.5), 0.6) == "", "it has not been better than a guess yet"
    assert "smallest" in judged(Watch(usual=good), bad, 0.6)
    assert "smallest" in ends(supernet, CLASSIFY, PLAIN, chance=chance).judged(Watch(usual=bad), bad, 0.1)


# ---- drawing by cost -------------------------------------------------------------------------------------------------


def test_children_drawn_by_cost_are_even_over_its_logarithm_and_those_by_genes_are_not() -> None:
    low, high = (math.log(cost(spec).macs) for spec in (FEW.smallest(), FEW.biggest()))

    def thirds(draw: Any) -> Counter[int]:
        specs = [spec for step in range(60) for spec in draw(FEW, seed=0, step=step, randoms=2)[:-1]]
        shares = [(math.log(cost(spec).macs) - low) / (high - low) for spec in specs]
        return Counter(min(2, int(3 * share)) for share in shares)

    # A third of 120 is 40, whose standard deviation is 5.2: within three of them.
    assert all(24 <= thirds(drawn_by_cost)[third] <= 56 for third in range(3))
    assert thirds(drawn)[0] < 30, "by genes the cheap third is drawn less: two standard deviations"
    assert drawn_by_cost(FEW, seed=1, step=5, randoms=3) == drawn_by_cost(FEW, seed=1, step=5, randoms=3)
    assert drawn_by_cost(FEW, seed=1, step=5, randoms=3)[-1] == FEW.smallest()


def test_children_of_one_cost_and_children_over_all_costs_are_what_they_say() -> None:
    counting, macs = Counting(FEW), 3e6
    assert counting(near(FEW, macs, random.Random(0))).macs == pytest.approx(macs, rel=0.05)
    band = within_band(FEW, macs, 12, random.Random(0))
    assert len(set(band)) == 12 and all(abs(counting(genes).macs / macs - 1) <= 0.1 for genes in band)
    some = over_cost(FEW, 8, random.Random(0))
    costs = [counting(genes).macs for genes in some]
    assert costs == sorted(costs) and len(set(some)) == 8
    assert (FEW.spec(some[0]), FEW.spec(some[-1])) == (FEW.smallest(), FEW.biggest())
    steps = [math.log(b / a) for a, b in pairwise(costs)]
    # Each is within 5 % of its place, so two neighbours are within about 10 % of a step of log(13.5) / 7 = 0.37.
    assert max(steps) - min(steps) < 0.2
