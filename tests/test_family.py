"""Families: which members, how they are told apart, and a study that goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commands import TINY
from convsmith.cli import main
from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.jobs.options import Options
from convsmith.jobs.studies.family import differences_of, family, members, planned
from convsmith.jobs.studies.family_page import findings, written
from convsmith.recipes import QUICK
from convsmith.resolve import spec
from convsmith.runs import Kind, kind_of
from convsmith.scaling import Compound, solve
from convsmith.units import Budget
from farms import Here

OPTIONS = Options(settings=("epochs=1", "batch=16"))
BUDGETS = "250k-macs,500k-macs"


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convsmith.jobs.studies.trials.Farm", Here)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    images = rng.integers(0, 80, (48, 16, 16, 3)) + 80 * labels[:, None, None, None]
    path = tmp_path / "bright.npz"
    np.savez(path, images=images.astype(np.uint8), labels=labels)
    return path


def test_members_are_what_scale_finds() -> None:
    base, budgets = spec("efficientnet_b0"), [Budget(macs=1e8), Budget(macs=2e8)]
    found = members(base, budgets, ["compound", "tiny"], QUICK, 1000)
    assert [(one.rule, one.budget) for one in found] == [
        (rule, text) for rule in ("compound", "tiny") for text in ("100M-macs", "200M-macs")
    ]
    for one, budget in zip(found[:2], budgets, strict=True):
        best = solve(Compound(), base, budget, cost).spec
        assert (one.spec.stages, one.spec.input, one.spec.stem) == (best.stages, best.input, best.stem)
        assert cost(one.spec).macs <= budget.macs


@pytest.mark.parametrize(
    ("to", "rules", "said"),
    [
        ("100k-macs,100.1k-macs", ("compound",), "the same one"),
        ("5ms", ("compound",), "are counted"),
        ("100k-macs", ("compound", "compound"), "named twice"),
        ("10-macs", ("compound",), "no member"),
    ],
)
def test_what_makes_no_family_is_refused(data: Path, to: str, rules: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        planned(TINY, data, to=to, rules=rules, resolution=16, options=OPTIONS)


def test_a_family_is_trained_once_timed_and_drawn(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "family"
    plan = planned(TINY, data, to=BUDGETS, rules=("compound", "width"), resolution=16, options=OPTIONS)
    made = family(plan, out=out, seeds=2)
    assert len(list(out.glob("[0-9a-f]" * 16 + ".json"))) == 8 and not list(out.glob("*.pt"))
    assert all(one.score.interval is not None and one.latency.median_ms > 0 for one in made.trained)
    assert {one.budget for one in made.differences} == set(BUDGETS.split(","))
    page = written(made).read_text()
    assert page.count("<svg") == 3 and "compound" in page and "http" not in page.replace("http://www.w3.org", "")
    assert all((out / f"{name}.{ending}").is_file() for name in ("macs", "params", "ms") for ending in ("svg", "png"))
    assert json.loads((out / "study.json").read_text())["members"][0]["cost"]["macs"] == made.trained[0].cost.macs
    assert kind_of(out) is Kind.FAMILY
    # A result is what counts, not the training: a changed one is read and not overwritten.
    for result in out.glob("[0-9a-f]" * 16 + ".json"):
        result.write_text(json.dumps(json.loads(result.read_text()) | {"top1": 0.125}))
    again = family(plan, out=out, seeds=2)
    assert {one.score.value for one in again.trained} == {0.125}
    assert all("cannot be told apart" in line for line in findings(again) if " less " in line)


def test_differences_are_paired_by_seed(data: Path, tmp_path: Path) -> None:
    plan = planned(TINY, data, to="250k-macs", rules=("compound", "width"), resolution=16, options=OPTIONS)
    first, other = family(plan, out=tmp_path / "family", seeds=1).trained
    first, other = replace(first, scores={0: 0.5, 1: 0.7}), replace(other, scores={0: 0.4, 1: 0.6})
    (found,) = differences_of([first, other])
    assert found.mean == pytest.approx(0.1) and found.interval == pytest.approx((0.1, 0.1))


def test_the_command_line_says_what_it_would_train(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "family",
        str(TINY),
        str(data),
        "--to",
        BUDGETS,
        "--against",
        "width",
        "--resolution",
        "16",
        "--epochs",
        "1",
    ]
    assert main([*words, "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["trainings"] == 12 and [one["rule"] for one in said["members"]] == ["compound"] * 2 + ["width"] * 2
    assert main([*words, "--against", "widht", "--dry-run"]) == 2
    assert "width" in capsys.readouterr().err
