"""The statistics and the manners of timing; no test here measures a real time."""

from __future__ import annotations

import gc
import re
from functools import partial
from itertools import count

import numpy as np
import pytest
import torch
from torch import nn

from convsmith import latency
from convsmith.errors import UserError
from convsmith.latency import Runtime, Subject, compile_subject, eager_subject, interleave, ratio, summarise

SHIPPED = {name: getattr(latency, name) for name in ("_WARM_UP_NS", "_SAMPLE_NS")}


@pytest.fixture(autouse=True)
def _as_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SHIPPED.items():
        monkeypatch.setattr(latency, name, value)


class Bench:
    """A clock that only forwards move, and subjects that record when they ran."""

    def __init__(self) -> None:
        self.now = 0
        self.ran: list[str] = []

    def clock(self) -> int:
        return self.now

    def subject(self, name: str, ms: float, batch: int = 1, threads: int | None = None) -> Subject:
        def run() -> None:
            self.now += round(ms * 1e6)
            self.ran.append(name)

        return Subject(name, Runtime.EAGER, batch, run, threads=threads)


def subject(name: str, runtime: Runtime = Runtime.EAGER) -> Subject:
    return Subject(name, runtime, 1, lambda: None)


def drifting(scale: float, seed: int, rounds: int = 60, own: float = 0.02) -> list[float]:
    """Times that share a drift of a factor of three between rounds and have a little noise of their own."""
    drift = np.exp(np.random.default_rng(99).uniform(0, np.log(3), rounds))
    return list(scale * drift * np.random.default_rng(seed).lognormal(0, own, rounds))


def test_a_twice_faster_subject_is_ranked_through_a_drift_of_three() -> None:
    timing = summarise([subject("slow"), subject("fast")], [drifting(2, 0), drifting(1, 1)], threads=1)
    found = ratio(timing.rows[0], timing.rows[1])
    assert found.low < 2 < found.high
    assert found.high - found.low < 0.05
    assert timing.verdict[0].startswith("fast is faster than slow: ratio 2.0")
    assert timing.noise > 0.1
    assert timing.verdict[-1].startswith("the rounds of one model spread by")


def test_equal_subjects_are_not_ranked() -> None:
    for seed in range(20):
        times = [drifting(1, 2 * seed), drifting(1, 2 * seed + 1)]
        timing = summarise([subject("a"), subject("b")], times, threads=1)
        assert timing.verdict[0].startswith("cannot rank ")


def test_neighbours_that_cannot_be_ranked_are_one_sentence() -> None:
    times = [drifting(1, 0), drifting(1, 1), drifting(1, 2), drifting(5, 3)]
    timing = summarise([subject(name) for name in "abcd"], times, threads=1)
    first, second, *_ = timing.verdict
    assert re.fullmatch(r"cannot rank [abc], [abc] and [abc]: ratios \S+ \[.*\], \S+ \[.*\]", first)
    assert re.fullmatch(r"[abc] is faster than d: ratio .*", second)
    assert "too noisy" in (timing.rows[0].noisy or "")


def test_a_machine_that_cannot_tell_two_models_apart_says_by_how_much() -> None:
    times = [drifting(1.0, 0, own=0.5), drifting(1.1, 1, own=0.5)]
    timing = summarise([subject("a"), subject("b")], times, threads=1)
    assert timing.verdict[0].startswith("cannot rank ")
    assert timing.verdict[1].startswith("this machine is too noisy to rank models that differ by less than ")


def test_a_quiet_machine_has_no_complaint_about_one_model() -> None:
    timing = summarise([subject("a")], [[1.0, 1.01, 0.99, 1.0, 1.0]], threads=1)
    assert timing.verdict == ()
    assert 0 <= timing.noise < 0.05


def test_the_interval_depends_on_the_seed_only() -> None:
    rows = summarise([subject("a"), subject("b")], [drifting(1, 0), drifting(1, 1)], threads=1).rows
    assert ratio(*rows, seed=3) == ratio(*rows, seed=3)
    assert ratio(*rows, seed=3) != ratio(*rows, seed=4)


def test_ratios_are_refused_between_timings_of_different_length() -> None:
    (a,) = summarise([subject("a")], [[1.0, 1.0]], threads=1).rows
    (b,) = summarise([subject("b")], [[1.0, 1.0, 1.0]], threads=1).rows
    with pytest.raises(ValueError, match="not from one timing"):
        ratio(a, b)


def test_two_rows_of_one_name_are_told_apart_in_the_verdict() -> None:
    timing = summarise([subject("a"), subject("a", Runtime.ORT)], [drifting(2, 0), drifting(1, 1)], threads=1)
    assert timing.verdict[0].startswith("a (ort, batch 1) is faster than a (eager, batch 1): ")


def test_the_record_is_that_of_latency_json() -> None:
    record = summarise([subject("a", Runtime.ORT)], [[3.0, 1.0, 2.0]], threads=4).to_record()
    assert set(record) == {"rows", "rounds", "noise", "verdict", "machine"}
    row = {"name": "a", "runtime": "ort", "threads": 4, "batch": 1, "n": 3}
    assert record["rows"] == [row | {"median_ms": 2.0, "p10_ms": pytest.approx(1.2), "p90_ms": pytest.approx(2.8)}]


def test_each_round_runs_every_subject_once_in_an_order_of_its_own() -> None:
    bench = Bench()
    names = ["a", "b", "c", "d"]
    marks: list[int] = []
    interleave(
        [bench.subject(name, 5) for name in names],
        threads=1,
        rounds=30,
        progress=lambda done, asked: marks.append(len(bench.ran)),
        clock=bench.clock,
    )
    # At 5 ms a round has two forwards of each: the one that is not counted, and the sample.
    orders = [bench.ran[end - 2 * len(names) : end : 2] for end in marks]
    assert len(orders) == 30
    assert all(sorted(order) == names for order in orders)
    assert len({tuple(order) for order in orders}) > 10


def test_milliseconds_are_per_image_and_short_forwards_are_repeated() -> None:
    bench = Bench()
    subjects = [bench.subject("short", 0.1, batch=4), bench.subject("long", 8, batch=2)]
    timing = interleave(subjects, threads=1, rounds=5, clock=bench.clock)
    assert [row.median_ms for row in timing.rows] == pytest.approx([0.025, 4.0])
    assert timing.noise == pytest.approx(0, abs=1e-9)
    assert bench.ran.count("short") > 5 * 20


def test_warm_up_lasts_until_the_times_settle() -> None:
    bench, calls = Bench(), count()

    def run() -> None:  # starts at 60 ms and gains 2 ms with every forward, down to 10 ms
        bench.now += max(10, 60 - 2 * next(calls)) * 1_000_000

    timing = interleave([Subject("a", Runtime.EAGER, 1, run)], threads=1, rounds=5, clock=bench.clock)
    assert timing.rows[0].samples == (10.0,) * 5


def test_warm_up_gives_up_on_a_subject_that_never_settles() -> None:
    bench, calls = Bench(), count(1)

    def run() -> None:
        bench.now += 10_000_000 * next(calls)

    interleave([Subject("a", Runtime.EAGER, 1, run)], threads=1, rounds=1, clock=bench.clock)
    assert bench.now < 10e9


def test_no_round_begins_after_the_time_is_up_but_five_are_made() -> None:
    bench = Bench()
    slow = bench.subject("a", 1000)
    assert interleave([slow], threads=1, rounds=50, seconds=1, clock=bench.clock).rounds == 5
    assert interleave([slow], threads=1, rounds=50, seconds=30, clock=bench.clock).rounds == 16
    assert interleave([slow], threads=1, rounds=3, seconds=30, clock=bench.clock).rounds == 3


@pytest.mark.parametrize("collecting", [True, False])
def test_threads_and_garbage_collection_are_given_back_even_after_an_error(collecting: bool) -> None:
    seen: list[tuple[int, bool]] = []

    def run() -> None:
        seen.append((torch.get_num_threads(), gc.isenabled()))
        raise RuntimeError("the forward failed")

    before = torch.get_num_threads()
    if not collecting:
        gc.disable()
    try:
        with pytest.raises(RuntimeError, match="the forward failed"):
            interleave([Subject("a", Runtime.EAGER, 1, run)], threads=before + 1)
        assert seen == [(before + 1, False)]
        assert (torch.get_num_threads(), gc.isenabled()) == (before, collecting)
    finally:
        gc.enable()


def test_sync_is_called_before_the_clock_is_read() -> None:
    bench = Bench()

    def wait() -> None:
        bench.now += 7_000_000

    asynchronous = Subject("a", Runtime.EAGER, 1, lambda: None, wait)
    assert interleave([asynchronous], threads=1, rounds=5, clock=bench.clock).rows[0].median_ms == pytest.approx(7)


def test_an_eager_subject_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    made = eager_subject("a", model, input_shape=(3, 8, 8), batch=2)
    output = made.run()
    assert isinstance(output, torch.Tensor)
    assert output.shape == (2, 4, 6, 6)
    assert output.is_contiguous(memory_format=torch.channels_last)
    assert model.training and model[0].weight.requires_grad
    assert int(model[1].num_batches_tracked) == 0


def test_every_network_is_compiled_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def counting(graph: torch.fx.GraphModule, example: object) -> object:
        compiled.append("once")
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counting))
    many = 10  # of one class torch compiles eight, by its own choice, and runs more of them eagerly
    for width in range(1, 1 + many):
        layer = nn.Conv2d(3, width, 1)
        compile_subject("a", layer, input_shape=(3, 2, 2)).run()
    assert len(compiled) == many


def test_a_subject_is_not_compiled_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(torch, "compile", lambda model: lambda images: calls.append(images))
    made = compile_subject("a", nn.Identity(), input_shape=(3, 8, 8))
    assert (made.runtime, calls) == (Runtime.COMPILE, [])
    made.run()
    assert len(calls) == 1


def test_what_cannot_be_timed_is_refused() -> None:
    bench = Bench()
    with pytest.raises(UserError, match="nothing to measure"):
        interleave([], threads=1)
    with pytest.raises(UserError, match="at least 1; got threads=0"):
        interleave([bench.subject("a", 1)], threads=0)
    with pytest.raises(UserError, match="'a' was made for 2 threads, not for 1"):
        interleave([bench.subject("a", 1, threads=2)], threads=1)
    with pytest.raises(UserError, match="at least one image; got 0"):
        eager_subject("a", nn.Identity(), input_shape=(3, 8, 8), batch=0)
