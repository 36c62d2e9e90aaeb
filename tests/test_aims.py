"""Whose milliseconds a budget is of: a runtime's here or a device's elsewhere, asked for once and said wherever they are told."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import convsmith as cs
from convsmith.cli import main
from convsmith.codec import to_data
from convsmith.errors import UserError
from convsmith.exporting.runtimes import RUNTIMES, FileRuntime
from convsmith.jobs.options import Options
from convsmith.jobs.scale import met
from convsmith.jobs.search.options import SearchOptions
from convsmith.jobs.search.predicted import Timed
from convsmith.jobs.search.request import Request
from convsmith.jobs.timing.devices import HERE, Aim
from convsmith.jobs.train.begin import design_job
from convsmith.latency import Latency, Runtime
from convsmith.runs import Config, Limit, RunFolder, value
from convsmith.units import Budget
from convsmith.watcher import Watcher
from supernets import TINY

FOLDERS = Path(__file__).parent / "folders-0.1"
IN_MS = [Budget(ms=5.0)]
# Those that are an extra, and torch itself, which needs none.
EXTRAS = [one for one in RUNTIMES.values() if one.timed is not None and one.extra]


@pytest.mark.parametrize("files", EXTRAS, ids=lambda one: one.name)
@pytest.mark.parametrize("verb", ["design", "search"])
def test_a_runtime_that_is_not_installed_is_told_before_anything_is_read(
    verb: str,
    files: FileRuntime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("convsmith.exporting.runtimes.runtime.find_spec", lambda name: None)
    assert main([verb, "no-such-data", "--to", "5ms", "--runtime", files.name]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert f"pip install 'convsmith[{files.extra}]'" in said[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "--to 2M-macs --runtime eager",
            "--runtime and --threads are of budgets in milliseconds, and none of these is",
        ),
        ("--to 2M-macs --threads 2", "--runtime and --threads are of budgets in milliseconds, and none of these is"),
        ("--to 2M-macs --device pi4", "pi4 is of budgets in milliseconds, and none of these is"),
        ("--to 5ms --device pi4", "there is no device 'pi4'"),
    ],
)
@pytest.mark.parametrize("verb", ["design", "search"])
def test_what_no_budget_is_of_is_refused_before_anything_is_read(
    verb: str,
    words: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("convsmith.jobs.timing.devices.CACHE", tmp_path / "cache")
    assert main([verb, "no-such-data", *words.split()]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_a_runtime_that_nobody_has_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"not of 'openvno'; did you mean 'openvino'"):
        cs.scale("resnet18", to="5ms", runtime="openvno")
    with pytest.raises(UserError, match=r"threads.* at least 1"):
        Aim.of(None, "ort", 0, IN_MS)


def test_nothing_is_written_of_what_is_usual() -> None:
    """Older folders and those of onnxruntime read and are written alike."""
    assert HERE.told == "" and HERE.recorded is None
    assert "runtime" not in to_data(SearchOptions()) and "runtime" not in Config().to_record()
    assert "runtime" not in Limit(5, 4.0).to_record()
    asked = SearchOptions(runtime=Runtime.OPENVINO)
    assert to_data(asked)["runtime"] == "openvino" and value(SearchOptions, to_data(asked), "").aim == asked.aim


def test_what_is_measured_here_of_a_device_elsewhere_is_in_onnxruntime() -> None:
    there = Aim(Runtime.LITERT, 4, "pi4")
    assert (there.here, there.recorded) == (Runtime.ORT, None)
    assert there.told == ", estimated for pi4, in litert"
    assert Limit(5, 4.0, "pi4", "litert").whose == there.told
    assert Aim(Runtime.EAGER).recorded == "eager"


@pytest.mark.parametrize("other", [Aim(Runtime.EAGER), Aim(threads=2), Aim(device="pi4")])
def test_a_search_that_goes_on_believes_no_milliseconds_of_another_aim(other: Aim, tmp_path: Path) -> None:
    shown: list[Any] = []

    def watch(spec: cs.ArchSpec) -> Latency:
        shown.append(spec)
        return Latency(spec.name, Runtime.ORT, 1, 1, 1.0, 1.0, 1.0, 1, (1.0,))

    def timed(aim: Aim) -> int:
        before = len(shown)
        Timed(TINY, tmp_path / "timed.json", watch, random.Random(0), aim=aim)
        return len(shown) - before

    first = timed(HERE)
    assert first > 2 and timed(HERE) == 0
    assert timed(other) == first


def test_a_run_is_measured_in_the_runtime_that_it_was_made_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In torch, which needs no file; what is shipped for others is shown by a search (`test_searching`)."""
    runtime = "eager"
    run = RunFolder.open(shutil.copytree(FOLDERS / "trained", tmp_path / "run"))
    chosen = {"ms": Limit(1000, 1.0, None, runtime)}
    run.write_config(replace(run.config, budget="1000ms", met=chosen, runtime=runtime))
    run.file("latency.json").unlink()
    assert main(["resume", str(run.path), "--json"]) == 0
    told, (row,) = json.loads(capsys.readouterr().out), run.latency.rows
    assert (row.runtime, row.threads) == (told["latency"]["runtime"], told["latency"]["threads"]) == (runtime, 1)
    # What is told of the budget is what was measured of what is shipped.
    assert run.config.met == {"ms": Limit(1000, row.median_ms, None, runtime)}
    assert told["met"]["ms"]["runtime"] == runtime
    page = run.file("report.html").read_text()
    assert f", in {runtime}" in page and f"{runtime}, 1 thread, batch 1" in page


def test_a_design_says_whose_milliseconds_chose_its_network(tmp_path: Path) -> None:
    options = Options(parent=tmp_path, device="cpu")
    base = cs.from_json((FOLDERS / "tiny.json").read_text())
    job = design_job("digits", "1000ms,200k-macs", base, "resolution", options, Watcher(), runtime="eager")
    assert job.aim == Aim(Runtime.EAGER)
    assert job.found is not None and job.found.latency is not None
    assert job.found.latency.runtime is Runtime.EAGER
    assert met(job.found)["ms"].whose == ", in eager" and met(job.found)["macs"].whose == ""


def test_a_request_keeps_whose_milliseconds_it_is_of() -> None:
    asked = Request.of("digits", "5ms,2M-macs", Options(device="cpu"), SearchOptions(runtime=Runtime.EAGER, threads=2))
    assert asked.how.aim == Aim(Runtime.EAGER, 2) and asked.options.device == "cpu"
