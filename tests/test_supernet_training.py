"""Training a supernet neither leaks nor loses anything, whoever stops it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from convsmith.errors import Stopped, UserError
from convsmith.recipe import Recipe, Schedule
from convsmith.recipes.bignas import BIGNAS as BIGNAS_RECIPE
from convsmith.supernet import Supernet, sandwich
from convsmith.supernet.sandwich import Seen
from convsmith.supernet.shared import resized
from convsmith.training import Single, TrainingDiverged, Watch, fit, rate_at
from convsmith.watcher import EpochDone, RolledBack, Started, StepDone, Watched
from supernets import CLASSIFY, CPU, PLAIN, TINY, Feed, train_supernet


@dataclass(frozen=True)
class Spike(Schedule):
    """A constant rate that jumps for a while."""

    kind = "spike"
    at: tuple[int, ...] = ()
    times: float = 1.0

    def share(self, step: int, *, steps: int, warmup: int, per_epoch: int) -> float:
        return self.times if step in self.at else 1.0


def train(folder: Path, recipe: Recipe, *, stop_at: int = 0, watch_every: int = 4) -> tuple[Supernet, list]:
    supernet, records = Supernet(TINY, seed=0), []
    for record in train_supernet(
        supernet,
        recipe,
        Feed(),
        prepare=lambda images: images.float() / 128 - 1,
        evaluate=lambda shipped: {"children": float(shipped.space.size())},
        checkpoint=folder / "last.pt",
        device=CPU,
        seed=7,
        watch_every=watch_every,
    ):
        records.append(record)
        if isinstance(record, StepDone) and record.step == stop_at:
            break
    return supernet, records


def same(one: Supernet, other: Supernet) -> bool:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_both_ends_learn_what_can_be_learnt(tmp_path: Path) -> None:
    supernet, records = train(tmp_path, replace(PLAIN, epochs=5))
    assert isinstance(records[0], Started) and records[0].step == 0
    epochs = [record for record in records if isinstance(record, EpochDone)]
    assert [record.epoch for record in epochs] == list(range(1, 6))
    assert epochs[-1].scores == {"children": TINY.size()}
    last = [record for record in records if isinstance(record, Watched)][-1]
    assert max(last.smallest, last.biggest) < 0.5 * math.log(3)
    feed = list(Feed().batches(0, 4))
    given = [batch.images.float() / 128 - 1 for batch in feed]
    for spec in (TINY.smallest(), TINY.biggest()):
        model = supernet.calibrated(spec, given)
        right = [
            model(resized(x, spec.input.resolution)).argmax(1) == batch.answers
            for x, batch in zip(given, feed, strict=True)
        ]
        assert torch.cat(right).float().mean() > 0.9


@pytest.mark.parametrize(("average", "stops"), [(0.0, (3, 9)), (0.9, (8,))])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, average: float, stops: tuple[int, ...]) -> None:
    recipe = replace(PLAIN, epochs=2, average=average)
    (tmp_path / "whole").mkdir()
    whole, _ = train(tmp_path / "whole", recipe)
    for stop_at in stops:
        folder = tmp_path / str(stop_at)
        folder.mkdir()
        train(folder, recipe, stop_at=stop_at)
        resumed, records = train(folder, recipe)
        assert records[0].step == (6 if stop_at > 6 else 0)  # the end of an epoch is written after its step is told
        assert same(resumed, whole)


def test_a_stop_leaves_the_last_good_look_and_the_same_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, _ = train(tmp_path / "a", replace(PLAIN, epochs=2))
    steps: list[int] = []
    told = train_supernet(
        Supernet(TINY, seed=0),
        replace(PLAIN, epochs=2),
        Feed(),
        prepare=lambda images: images.float() / 128 - 1,
        evaluate=lambda shipped: {},
        checkpoint=tmp_path / "b" / "last.pt",
        device=CPU,
        seed=7,
        watch_every=4,
        stop=lambda: len(steps) >= 4,
    )
    with pytest.raises(Stopped, match="step 4 of 12"):
        for record in told:
            if isinstance(record, StepDone):
                steps.append(record.step)
    resumed, records = train(tmp_path / "b", replace(PLAIN, epochs=2))
    assert records[0].step == 4
    assert same(resumed, whole)


def test_a_collapse_is_noticed_and_undone_and_a_resumed_run_undoes_it_alike(tmp_path: Path) -> None:
    spiked = replace(PLAIN, epochs=4, schedule=Spike(tuple(range(13, 17)), 100.0))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, records = train(tmp_path / "a", spiked)
    falls = [record for record in records if isinstance(record, RolledBack)]
    assert falls and all(12 <= fall.to < fall.step <= 24 for fall in falls)
    assert [fall.share for fall in falls] == [0.5 ** (index + 1) for index in range(len(falls))]
    steps = [record.step for record in records if isinstance(record, StepDone)]
    assert steps[-1] == 24 and len(steps) > 24
    last = [record for record in records if isinstance(record, Watched)][-1]
    assert max(last.smallest, last.biggest) < 0.6 * math.log(3)
    train(tmp_path / "b", spiked, stop_at=15)
    resumed, _ = train(tmp_path / "b", spiked)
    assert same(resumed, whole)


def test_a_recipe_that_going_back_cannot_cure_ends_with_advice(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"collapsed 11 times.*--set rate="):
        train(tmp_path, replace(PLAIN, rate=1e6), watch_every=2)


def test_the_watch_tells_a_collapse_from_noise() -> None:
    chance = math.log(10)
    watch = Watch().passed((2.3, 2.2))
    assert watch.judged((2.6, 2.4), chance) == ""  # near chance nothing can be told
    assert "biggest" in watch.judged((2.3, math.nan), chance)
    assert "smallest" in watch.judged((5.0, 2.0), chance)
    for _ in range(20):
        watch = watch.passed((1.0, 0.5))
    assert watch.judged((1.5, 1.2), chance) == ""
    assert "biggest child's loss went" in watch.judged((1.0, 1.6), chance)
    low = Watch(usual=(1.0, 0.5)).fallen(Watch())
    assert (low.share, low.falls) == (0.5, 1)
    for _ in range(5):
        low = low.passed((1.0, 0.5))
    assert low.share == 1.0


def test_another_spaces_checkpoint_is_refused(tmp_path: Path) -> None:
    train(tmp_path, PLAIN, stop_at=7)
    other = Supernet(replace(TINY, resolution=(12,)), seed=0)
    run = train_supernet(
        other,
        PLAIN,
        Feed(),
        prepare=lambda images: images.float(),
        evaluate=lambda shipped: {},
        checkpoint=tmp_path / "last.pt",
        device=CPU,
        seed=7,
    )
    with pytest.raises(UserError, match="another space"):
        next(run)


@pytest.mark.parametrize(("share", "first"), [(0.0, 0), (0.5, 6), (0.3, 4), (1.0, 12)])
def test_labels_first_are_for_that_share_of_the_steps(tmp_path: Path, share: float, first: int) -> None:
    labelled = []

    def looked_at(*given: Any, **named: Any) -> Seen:
        labelled.append(named["labelled"])
        return sandwich(*given, **named)

    for _ in train_supernet(
        Supernet(TINY, seed=0), replace(PLAIN, epochs=2), Feed(), prepare=lambda images: images.float() / 128 - 1,
        evaluate=lambda shipped: {}, checkpoint=tmp_path / "last.pt", device=CPU, seed=7, labels_first=share,
        gradients=looked_at,
    ):  # fmt: skip
        pass
    assert labelled == [step < first for step in range(12)]


def test_with_no_other_children_the_loop_is_that_of_ordinary_training(tmp_path: Path) -> None:
    """What children cost the biggest is the method's, and not the loop's."""
    recipe, given = (
        replace(PLAIN, epochs=2),
        {"prepare": lambda images: images.float() / 128 - 1, "device": CPU, "seed": 7},
    )
    supernet = Supernet(TINY, seed=0)
    alone = supernet.extract(TINY.biggest()).train()
    ours = train_supernet(
        supernet, recipe, Feed(), evaluate=lambda shipped: {}, checkpoint=tmp_path / "ours.pt",
        draw=lambda space, **drawn: (), **given,
    )  # fmt: skip
    theirs = fit(
        Single(alone, CLASSIFY, recipe),
        recipe,
        Feed(),
        evaluate=lambda model: {},
        checkpoint=tmp_path / "theirs.pt",
        **given,
    )
    losses = [[one.loss for one in records if isinstance(one, StepDone)] for records in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_rate_ends_constant() -> None:
    def rate(epoch: float) -> float:
        return rate_at(
            round((epoch + 5) * 100),
            steps=36_000,
            warmup=500,
            peak=0.256,
            schedule=BIGNAS_RECIPE.schedule,
            per_epoch=100,
        )

    assert rate(100) == pytest.approx(0.07196, abs=5e-6)  # the sheet's
    assert rate(236.1) == rate(300) == pytest.approx(0.0128)
