"""Trials give the same outcomes on one process, on several, on a Ray cluster, and after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convsmith.data import ImageData, load_data
from convsmith.errors import UserError
from convsmith.families import spec
from convsmith.jobs.studies.trials import Outcome, Trial, train_all
from convsmith.jobs.train.begin import regularised
from convsmith.recipes import changed, recipe
from farms import Here

QUICK = changed(recipe("quick"), ("epochs=1",))


def networks(n: int = 2) -> list[Trial]:
    small = spec("mobilenetv1_025").with_classes(10).with_resolution(32)
    return [Trial(regularised(small, QUICK), QUICK, seed) for seed in range(n)]


def images() -> ImageData:
    """Some of the digits: enough that a training of one epoch can be killed in the middle of a study."""
    whole = load_data("digits", seed=0)
    return replace(whole, train=whole.train.take(np.arange(512)), val=whole.val.take(np.arange(96)))


def test_two_processes_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = train_all(networks(), images(), tmp_path / "two", workers=2)
    monkeypatch.setattr("convsmith.jobs.studies.trials.Farm", Here)
    one = train_all(networks(), images(), tmp_path / "one")
    assert one == two
    assert one[0] != one[1]  # seeds differ
    # What is done is read and not trained again: a result that was changed on disk comes back as it is.
    for path in (tmp_path / "one").glob("*.json"):
        path.write_text(json.dumps({"top1": 0.125, "loss": 1.0, "n": 8, "failed": ""}))
    assert train_all(networks(), images(), tmp_path / "one") == (Outcome(0.125, 1.0, 8),) * 2


def test_a_training_that_diverges_is_an_outcome_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convsmith.jobs.studies.trials.Farm", Here)
    wild = [replace(trial, recipe=changed(QUICK, ("rate=1e6",))) for trial in networks(1)]
    found = train_all(wild, images(), tmp_path)
    assert "the loss became" in found[0].failed


def test_a_result_that_is_no_result_is_named(tmp_path: Path) -> None:
    trial, data = networks(1)[0], images()
    from convsmith.jobs.source import fingerprint

    path = tmp_path / f"{trial.key(fingerprint(data))}.json"
    path.write_text("{}")
    with pytest.raises(UserError, match=path.name):
        train_all([trial], data, tmp_path)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_trials import images, networks
from convsmith.jobs.studies.trials import train_all
if __name__ == "__main__":
    train_all(networks(4), images(), Path({out!r}), workers=1)
"""


def test_a_kill_half_way_loses_nothing_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "killed"
    script = tmp_path / "study.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), out=str(out)))
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("*.json")) and time.monotonic() < deadline:
        assert process.poll() is None, "the study ended before it could be killed"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")}
    assert 0 < len(kept) < 4
    monkeypatch.setattr("convsmith.jobs.studies.trials.Farm", Here)
    resumed = train_all(networks(4), images(), out)
    assert {name: (out / name).stat().st_mtime_ns for name in kept} == kept
    assert resumed == train_all(networks(4), images(), tmp_path / "whole")


def test_no_cluster_is_an_error_with_its_address(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1"):
        train_all(networks(1), images(), tmp_path, cluster="127.0.0.1:1")
