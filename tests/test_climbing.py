"""Studies as they run: resumed, reported, and told on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from commands import TINY
from convsmith.cli import main
from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.jobs.options import Options
from convsmith.jobs.studies.climb import climb
from convsmith.resolve import spec
from farms import Here


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


OPTIONS = Options(recipe="resnet-rs", settings=("epochs=1", "batch=16"))


def test_a_study_keeps_every_training_and_trains_only_what_is_missing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    made = climb(TINY, data, out=out, seeds=1, resolution=16, options=OPTIONS)
    results = {path: path.read_bytes() for path in out.glob("*.json") if path.name != "study.json"}
    assert len(results) == len(made.steps) and not list(out.glob("*.pt"))
    assert all(rung.interval is None for rung in made.rungs)
    # A result is what counts, not the training: a changed one is read and not overwritten.
    first = next(iter(results))
    first.write_text(json.dumps(json.loads(results[first]) | {"top1": 0.125}))
    again = climb(TINY, data, out=out, seeds=1, resolution=16, options=OPTIONS, workers=2)
    changed = [at for at in range(len(made.steps)) if again.scores[at] != made.scores[at]]
    assert len(changed) == 1 and again.scores[changed[0]] == {0: 0.125}
    page = (out / "study.html").read_text()
    assert "12.50 %" in page and "<svg" in page and "http" not in page.replace("http://www.w3.org", "")
    assert (out / "bars.svg").is_file()
    assert json.loads((out / "study.json").read_text())["steps"][0]["name"] == "baseline"


def test_a_step_that_diverges_is_named(data: Path, tmp_path: Path) -> None:
    wild = Options(recipe="resnet-rs", settings=("epochs=1", "batch=16", "rate=1e6", "warmup=0"))
    with pytest.raises(UserError, match="'baseline' under seed 0: "):
        climb(TINY, data, out=tmp_path / "study", seeds=1, resolution=16, options=wild)


def test_a_study_needs_a_seed(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one seed"):
        climb(TINY, data, out=tmp_path / "x", seeds=0, options=OPTIONS)
    assert not (tmp_path / "x").exists()


def test_the_command_lists_its_steps_without_training(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--resolution", "32", "--dry-run"]
    assert main(["ladder", "resnet18", "digits", *small, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    baseline = cost(spec("resnet18").with_classes(10).with_resolution(32))
    assert (
        found["trainings"] == 3 * len(found["steps"])
        and found["hours"] > 0
        and found["steps"][0]
        == {
            "step": "baseline",
            "epochs": 90,
            "macs": baseline.macs,
            "params": baseline.params,
        }
    )
    assert main(["ladder", "resnetrs50", "digits", "--factors", *small]) == 0
    assert "would train 24 networks, 3 of each, in about" in capsys.readouterr().out
    assert main(["ladder", "resnet18", "digts", *small]) == 2
    assert "did you mean 'digits'" in capsys.readouterr().err
    assert main(["ladder", "resnetrs50", "digits", "--recipe", "resnet", "--dry-run"]) == 2
    assert "did you mean 'resnet-rs'" in capsys.readouterr().err
