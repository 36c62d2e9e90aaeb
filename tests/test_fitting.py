"""A scaling study: its candidates, its law, and the whole of it on real digits at the smallest size."""

from __future__ import annotations

import itertools
import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convsmith.costs import cost
from convsmith.data import load_data
from convsmith.errors import UserError
from convsmith.families import spec
from convsmith.jobs.options import Options
from convsmith.jobs.studies.scaling import fit_scaling, planned
from convsmith.jobs.studies.scaling_page import findings, written
from convsmith.jobs.studies.scaling_time import afforded
from convsmith.scaling import Compound, rule
from convsmith.scaling.candidates import apart, sampled, triples, twice
from convsmith.scaling.law import Law
from convsmith.watcher import Watcher

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
def test_a_study_of_digits_ends_in_a_rule_that_scale_reads(name: str, tmp_path: Path) -> None:
    images = load_data("digits", seed=0)
    options = Options(settings=("epochs=1", "batch=256"))
    plan = planned(
        base="mobilenetv1_025",
        rule=name,
        images=images,
        trials=4,
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
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "trials").iterdir()}
    assert fit_scaling(plan, images, tmp_path, workers=1).to_record() == study.to_record()
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "trials").iterdir()} == kept
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
