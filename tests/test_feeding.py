"""Where training's time goes: the verdict follows from the times, and the verb measures real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import TINY
from convsmith.cli.app import main
from convsmith.jobs.timing.pipeline import DataTimes


def times(*, decode: float, augment: float, step: float, workers: int = 0, cores: int = 8) -> DataTimes:
    supplied = 1e3 * max(workers, 1) / (decode + augment)
    return DataTimes(256, decode, augment, step, supplied, 1e3 / step, workers, cores)


def test_a_slow_network_waits_for_nothing() -> None:
    found = times(decode=1, augment=1, step=10)
    assert found.waits == 0 and found.verdict.startswith("the network is what takes the time")


def test_slow_reading_is_told_with_the_workers_that_would_keep_up() -> None:
    found = times(decode=6, augment=2, step=2)
    assert found.waits == pytest.approx(0.75) and "decoding" in found.verdict
    better = times(decode=6, augment=2, step=2, workers=found.advised)
    assert better.waits == 0 and f"--workers {found.advised}" in found.verdict


def test_no_more_workers_are_advised_than_there_are_cores() -> None:
    found = times(decode=50, augment=1, step=1, workers=1, cores=2)
    assert found.advised == 1 and "decoding is what takes it: try --cache FOLDER" in found.verdict


def test_a_cache_is_advised_where_decoding_takes_the_time_and_not_where_augmenting_does() -> None:
    assert "--workers 4 or --cache FOLDER" in times(decode=6, augment=2, step=2).verdict
    assert "--cache" not in times(decode=2, augment=6, step=2).verdict
    assert times(decode=1, augment=50, step=1, workers=1, cores=2).verdict.endswith("try fewer operations")


def test_the_verb_times_real_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(12):
            Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / name / f"{i}.png")
    assert main(["doctor", str(tmp_path), "--model", TINY, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["decode_ms"] > 0 and found["step_ms"] > 0 and found["images"] > 0 and found["verdict"]
    assert main(["doctor", str(tmp_path / "none")]) == 2
