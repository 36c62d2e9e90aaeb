"""Learning-rate schedules at the steps where they are got wrong: the first, the warm-up's last, the last."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convsmith.recipe import SCHEDULES, Constant, Cosine, Exponential, Linear, Schedule, Stairs, Steps
from convsmith.recipes import recipe
from convsmith.training import rate_at

PER_EPOCH = 100


def rate(schedule: Schedule, epoch: float, *, epochs: int, warmup: float = 5) -> float:
    """The rate at an epoch, by steps, of a run with a peak of 1."""
    return rate_at(
        round(epoch * PER_EPOCH),
        steps=epochs * PER_EPOCH,
        warmup=round(warmup * PER_EPOCH),
        peak=1.0,
        schedule=schedule,
        per_epoch=PER_EPOCH,
    )


@pytest.mark.parametrize("kind", SCHEDULES, ids=lambda kind: kind.kind)
def test_the_warm_up_is_a_line_to_the_peak_before_any_schedule(kind: type[Schedule]) -> None:
    rates = [rate(kind(), step / PER_EPOCH, epochs=30) for step in range(500)]
    assert rates[0] == 1 / 500
    assert rates[249] == 0.5
    assert rates[499] == 1.0
    assert rates == sorted(rates)


@pytest.mark.parametrize(
    ("schedule", "first", "last"),
    [
        # The last step stands one step before the end of the curve: 1/2500 of what follows the warm-up.
        (Cosine(), 1.0, 0.5 * (1 - math.cos(math.pi / 2500))),
        (Cosine(end=0.25), 1.0, 0.25 + 0.75 * 0.5 * (1 - math.cos(math.pi / 2500))),
        (Linear(), 1.0, 1 / 2500),
        (Linear(end=0.5), 1.0, 0.5 + 0.5 / 2500),
        (Exponential(), 0.97**2, 0.97**12),
        (Exponential(staircase=False), 0.97 ** (5 / 2.4), 0.97 ** (29.99 / 2.4)),
        (Exponential(staircase=False, after_warmup=True), 1.0, 0.97 ** (24.99 / 2.4)),
        (Exponential(floor=0.8, after_warmup=True), 1.0, 0.8),
        (Steps(), 1.0, 1e-3),
        (Cosine(end=0.25, length=1000), 1.0, 0.25),
        (Stairs(((600, 0.5), (2000, 1.0), (2500, 0.1))), 0.5, 0.1),
        (Stairs(((2, 0.5), (3, 0.25)), of=6), 0.5, 0.25),
        (Constant(), 1.0, 1.0),
    ],
    ids=str,
)
def test_a_schedule_begins_and_ends_where_its_equation_says(schedule: Schedule, first: float, last: float) -> None:
    assert rate(schedule, 5, epochs=30) == pytest.approx(first, rel=1e-12)
    assert rate(schedule, 29.99, epochs=30) == pytest.approx(last, rel=1e-9)


@given(st.sampled_from(SCHEDULES), st.integers(1, 60), st.integers(0, 30), st.integers(1, 20))
def test_after_the_warm_up_no_schedule_rises_or_leaves_its_range(kind, after: int, warmup: int, per_epoch: int) -> None:
    steps = warmup + after
    rates = [
        rate_at(step, steps=steps, warmup=warmup, peak=1.0, schedule=kind(), per_epoch=per_epoch)
        for step in range(warmup, steps)
    ]
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] <= rates[0] <= 1


# ---- the papers' curves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epoch", "share"), [(2.5, 0.5), (5, 0.9409), (7.19, 0.97**2), (7.2, 0.97**3), (349.99, 0.97**145)]
)
def test_efficientnet_s_staircase_counts_from_step_zero_under_the_warm_up(epoch: float, share: float) -> None:
    # Ours is one step of 500 ahead of TensorFlow's in the warm-up.
    assert rate(recipe("efficientnet").schedule, epoch, epochs=350) == pytest.approx(share, abs=0.003)
    assert pytest.approx(0.0121, abs=5e-5) == 0.97**145  # as printed in the sheet


def test_bignas_s_rate_ends_constant() -> None:
    schedule = recipe("bignas").schedule
    assert 0.256 * rate(schedule, 105, epochs=365) == pytest.approx(0.07196, abs=5e-6)
    assert rate(schedule, 5 + 236.0, epochs=365) > 0.05
    assert rate(schedule, 5 + 236.1, epochs=365) == rate(schedule, 364.99, epochs=365) == 0.05


def test_nf_regnets_end_at_a_thousandth() -> None:
    # 0.4 at the batch of 1024 that the code has.
    assert 0.4 * rate(recipe("nf-regnet").schedule, 359.99, epochs=360) == pytest.approx(0.001, rel=1e-4)


def test_the_released_resnet_trainer_steps_at_epochs_30_60_and_80_of_90() -> None:
    shares = [rate(recipe("evonorm").schedule, epoch, epochs=90) for epoch in (29.99, 30, 59.99, 60, 79.99, 80)]
    assert shares == pytest.approx([1, 0.1, 0.1, 0.01, 0.01, 0.001])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Cosine(end=1.5),
        lambda: Linear(end=-0.1),
        lambda: Exponential(factor=0),
        lambda: Exponential(every=0),
        lambda: Exponential(floor=2),
        lambda: Steps(at=(0.5, 0.2)),
        lambda: Steps(at=(0.0,)),
        lambda: Steps(factor=1.5),
    ],
)
def test_impossible_schedules_are_refused(make) -> None:
    with pytest.raises(ValueError, match=r"^schedule\."):
        make()


def test_the_cosine_of_efficientnets_in_deeplabcut() -> None:
    """Oracle 13: r(0) = 5e-4, r(15,000) = 2.55e-4, r(30,000) = r(60,000) = 1e-5."""
    from convsmith.recipes import changed

    asked = changed(recipe("pose"), ["rate=0.016", "schedule.length=30000"])
    peak = asked.rate * asked.batch / 256
    rates = [
        rate_at(step, steps=100_000, warmup=0, peak=peak, schedule=asked.schedule)
        for step in (0, 15_000, 30_000, 60_000)
    ]
    assert rates == pytest.approx([5e-4, 2.55e-4, 1e-5, 1e-5], rel=1e-12)


def test_deeplabcuts_stairs_and_their_stretch() -> None:
    rows = ((10_000, 0.25), (430_000, 1.0), (730_000, 0.1), (1_030_000, 0.05))
    at = [0, 9_999, 10_000, 429_999, 430_000, 730_000, 1_500_000]
    whole = [rate_at(step, steps=2_000_000, warmup=0, peak=0.02, schedule=Stairs(rows)) for step in at]
    assert whole == pytest.approx([0.005, 0.005, 0.02, 0.02, 0.002, 0.001, 0.001])
    short = [
        rate_at(step, steps=1030, warmup=0, peak=0.02, schedule=Stairs(rows, of=1_030_000)) for step in (9, 10, 430)
    ]
    assert short == pytest.approx([0.005, 0.02, 0.002])
    with pytest.raises(ValueError, match="steps above 0 that rise"):
        Stairs(((5, 1.0), (5, 0.5)))
