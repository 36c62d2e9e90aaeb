"""A scaling study: its candidates, its law, and the whole of it on real digits at the smallest size."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convsmith.costs import cost
from convsmith.data import ImageData, load_data
from convsmith.errors import UserError
from convsmith.families import spec
from convsmith.jobs.options import Options
from convsmith.jobs.studies import scaling
from convsmith.jobs.studies.scaling import Plan, candidates, fit_scaling, planned
from convsmith.jobs.studies.scaling_page import findings, written
from convsmith.jobs.studies.scaling_time import afforded
from convsmith.jobs.studies.trials import Outcome, Trial
from convsmith.scaling import Compound, rule
from convsmith.scaling.candidates import apart, sampled, triples, twice
from convsmith.scaling.law import Law
from convsmith.watcher import Watcher
from farms import Here

BASE = spec("mobilenetv2_100").with_resolution(64)


def test_the_grid_holds_ninety_two_triples_and_the_paper_s_own() -> None:
    # Sheet 1.2: steps of 0.05 on [1, 1.6], |product - 2| <= 0.1.
    assert len(triples()) == 92
    assert Compound() in triples()


def test_triples_chosen_are_different_and_begin_with_the_paper_s() -> None:
    found = apart(8, random.Random(0))
    assert found[0] == Compound()
    assert len(set(found)) == 8
    assert {(1.0, 1.4, 1.0), (1.0, 1.0, 1.4)} <= {(one.alpha, one.beta, one.gamma) for one in found}


def test_candidates_of_the_grid_are_matched_on_counted_cost() -> None:
    base = BASE.with_resolution(224)  # at small sides a pixel more may cost half as much again
    macs = [cost(twice(one, base, cost)).macs / cost(base).macs for one in apart(6, random.Random(0))]
    assert all(1.6 < one <= 2 for one in macs)


def test_random_shapes_spread_evenly_over_the_cost() -> None:
    found = sampled(BASE, 12, random.Random(0), cost)
    shares = [point.share for point, _ in found]
    assert len(found) >= 10
    assert shares == sorted(shares)
    assert all(cost(made).macs / cost(BASE).macs == point.share for point, made in found)
    steps = [math.log(b / a) for a, b in itertools.pairwise(shares)]
    assert max(steps) < 3.5 * math.log(1.05 / 0.05) / 12


def test_hours_are_kept_with_the_study_and_a_dry_run_keeps_nothing(tmp_path: Path) -> None:
    images, watcher = load_data("digits"), Watcher()
    plan = planned(
        base=spec("mobilenetv2_035").with_resolution(16), rule="compound", images=images, trials=4, seeds=1, front=0.4,
        resolution=None, against=(), options=Options(),
    )  # fmt: skip
    afforded(plan, images, 100.0, 1, tmp_path / "study", watcher, keep=False)
    assert not list(tmp_path.iterdir())
    first = afforded(plan, images, 100.0, 1, tmp_path / "study", watcher)
    assert first.recipe.epochs >= 1
    assert afforded(plan, images, 100.0, 1, tmp_path / "study", watcher).recipe.epochs == first.recipe.epochs
    with pytest.raises(UserError, match="was begun with --hours 100"):
        afforded(plan, images, 50.0, 1, tmp_path / "study", watcher)
    with pytest.raises(UserError, match="one epoch of every training takes"):
        afforded(plan, images, 1e-9, 1, tmp_path / "other", watcher)


@given(st.floats(-0.8, -0.02), st.floats(0.05, 0.7))
def test_a_power_law_is_found_and_continued(slope: float, error: float) -> None:
    macs = [1e6 * 2**step for step in range(5)]
    top1 = [1 - error * (one / 1e6) ** slope for one in macs]
    law = Law.fitted(macs, top1, 10**9)
    assert law.slope == pytest.approx(slope, abs=1e-6)
    predicted, low, high = law.at(64e6)
    assert predicted == pytest.approx(1 - error * 64**slope, abs=1e-6)
    assert low <= predicted <= high
    assert high - low < 1e-4


def test_the_law_s_interval_holds_about_ninety_five_of_a_hundred_further_trainings() -> None:
    rng, held = random.Random(0), 0
    for _ in range(300):
        runs = [(1e6 * 2**step, -1.0 - 0.1 * step + rng.gauss(0, 0.05)) for step in range(4) for _ in range(3)]
        law = Law.fitted([macs for macs, _ in runs], [1 - math.exp(y) for _, y in runs], 10**9)
        _, low, high = law.at(16e6)
        held += low <= 1 - math.exp(-1.4 + rng.gauss(0, 0.05)) <= high
    assert 0.91 <= held / 300 <= 0.99


def test_a_law_needs_three_trainings_at_two_costs() -> None:
    with pytest.raises(ValueError, match="three trainings at two costs"):
        Law.fitted([1e6, 1e6, 1e6], [0.5, 0.5, 0.6], 100)


@pytest.mark.parametrize("name", ["tiny", "compound"])
def test_a_study_of_digits_ends_in_a_rule_that_scale_reads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "_refuse_chance", lambda arms, images: None)  # a few steps teach nothing
    monkeypatch.setattr("convsmith.jobs.studies.trials.Farm", Here)
    whole = load_data("digits", seed=0)
    images = replace(whole, train=whole.train.take(np.arange(192)), val=whole.val.take(np.arange(96)))
    options = Options(settings=("epochs=1", "batch=64"))
    plan = planned(
        base="mobilenetv1_025",
        rule=name,
        images=images,
        trials=4 if name == "tiny" else 5,  # rounding leaves a triple out
        seeds=1,
        front=1.0,
        resolution=32,
        against=("width",) if name == "tiny" else (),
        options=options,
    )
    study = fit_scaling(plan, images, tmp_path, workers=2)
    page = written(study, tmp_path)
    assert page.read_text(encoding="utf-8").count("<svg") == (2 if name == "tiny" else 1)
    assert rule(str(tmp_path / "rule.json")) == study.rule
    record = json.loads((tmp_path / "study.json").read_text(encoding="utf-8"))
    assert record["findings"] == findings(study)
    assert {arm["role"] for arm in record["arms"]} >= {"tried", "member", "checked"}
    assert not record["failures"]
    # Asked again, nothing is trained: the same study.
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "trials").glob("[!.]*")}
    assert fit_scaling(plan, images, tmp_path, workers=1).to_record() == study.to_record()
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "trials").glob("[!.]*")} == kept
    for one in study.differences:
        assert one.ratio <= 1 + 1e-6


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rule": "depth"}, "fits compound or tiny"),
        ({"trials": 2}, "cannot be fitted to 2"),
        ({"seeds": 0}, "at least 1"),
    ]
    + [({"against": ("widht",)}, "did you mean 'width'")],
)
def test_a_study_that_cannot_be_is_refused_before_it_trains(change: dict[str, object], says: str) -> None:
    asked: dict[str, object] = {"rule": "tiny", **change}
    with pytest.raises(UserError, match=says):
        planned(base="mobilenetv1_025", images=load_data("digits", seed=0), **asked)  # type: ignore[arg-type]


# ---- scores that say nothing -----------------------------------------------------------------------------------------


def scoring(monkeypatch: pytest.MonkeyPatch, score: Callable[[Trial], Outcome]) -> None:
    """Let every training of a study give what `score` says, without training."""

    def train_all(trials: Sequence[Trial], *given: object, **more: object) -> tuple[Outcome, ...]:
        return tuple(map(score, trials))

    monkeypatch.setattr(scaling, "train_all", train_all)


def digits_plan(**change: object) -> tuple[Plan, ImageData]:
    images = load_data("digits", seed=0)
    asked: dict[str, object] = {"rule": "compound", "trials": 4, "seeds": 1, "resolution": 64, **change}
    return planned(base="mobilenetv1_025", images=images, **asked), images  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tiny", "compound"])
def test_a_rule_of_scores_at_chance_is_refused_and_not_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, images = digits_plan(rule=name, seeds=3)
    scoring(monkeypatch, lambda trial: Outcome(0.10 + 0.01 * trial.seed, 2.3, 359))
    with pytest.raises(
        UserError, match=r"no rule is fitted: .* cannot be told from the 10.31% of always answering '3'"
    ):
        fit_scaling(plan, images, tmp_path)
    assert not list(tmp_path.iterdir())


def test_too_few_scores_have_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, images = digits_plan()
    scoring(monkeypatch, lambda trial: Outcome(0.0, 0.0, 0, failed="the loss became nan"))
    with pytest.raises(UserError, match=r"0 of 4 networks gave a score, and a rule needs four: .* the loss became nan"):
        fit_scaling(plan, images, tmp_path)
    monkeypatch.setattr(scaling, "candidates", lambda plan, watcher: [])
    with pytest.raises(UserError, match=r"0 networks can be tried, and a rule needs four: .* larger --resolution"):
        fit_scaling(plan, images, tmp_path)


def test_one_seed_tells_no_triples_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, images = digits_plan()
    scoring(monkeypatch, lambda trial: Outcome(0.5 + cost(trial.spec).macs / 1e9, 1.0, 359))
    said = "\n".join(findings(fit_scaling(plan, images, tmp_path)))
    assert "One seed has no interval: none of the triples can be told from another" in said and "1 seeds" not in said


def test_a_triple_that_rounding_does_not_double_is_left_out_and_said() -> None:
    plan, _ = digits_plan(resolution=32, trials=60)
    told: list[str] = []

    class Listening(Watcher):
        def note(self, text: str) -> None:
            told.append(text)

    base = cost(plan.base).macs
    assert all(cost(spec).macs >= 1.5 * base for _, spec in candidates(plan, Listening()))
    assert told and all("is left out: rounding leaves it at" in text for text in told)
