"""`convsmith` at work: the main job, what is killed and goes on, what is asked of a run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import convsmith as cs
from commands import TINY, run, squares
from convsmith.cli import main
from convsmith.jobs.timing.doctor import Doctor
from convsmith.jobs.train.begin import design_job, named
from convsmith.runs import RunFolder
from convsmith.threads import in_threads
from convsmith.watcher import Watcher
from unexported import UNEXPORTED, unexported

# ---- doing -----------------------------------------------------------------------------------------------------------

SMALL = ["--base", TINY, "--rule", "width"]
QUICKLY = ["--epochs", "2", "--set", "batch=8", *SMALL]


def test_the_main_job_from_data_to_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data, runs = squares(tmp_path), tmp_path / "runs"
    design = ["design", str(data), "--to", "300k-macs,200k-params", "--runs", str(runs), *QUICKLY]

    code, out, _ = run(capsys, *design, "--dry-run", "--json")
    dry = json.loads(out)
    assert code == 0
    assert dry["dry_run"]
    assert dry["cost"]["macs"] <= 300_000
    assert not runs.exists()

    code, out, _ = run(capsys, *design, "--name", "a b/c", "--json")
    assert code == 0
    record = json.loads(out)
    folder = Path(record["run"])
    assert folder.parent == runs
    assert folder.name == "a-b-c"
    assert record["met"]["macs"]["is"] <= 300_000
    assert record["scores"]["n"] == 4
    for name in [
        "spec.json",
        "config.json",
        "data.json",
        "metrics.jsonl",
        "last.pt",
        "model.safetensors",
        "model.onnx",
        "report.html",
    ]:
        assert (folder / name).is_file(), name
    assert len((folder / "report.html").read_bytes()) < 1_000_000
    assert [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()] == [1, 2]

    # A second run of the same name gets a folder of its own.
    code, out, _ = run(capsys, *design, "--name", "a b/c", "--json")
    assert Path(json.loads(out)["run"]).name == "a-b-c-2"
    assert json.loads(out)["scores"] == record["scores"]

    code, out, _ = run(capsys, "evaluate", str(folder), "--json")
    again = json.loads(out)
    assert (again["top1"], again["n"]) == (record["scores"]["top1"], 4)
    code, out, _ = run(capsys, "evaluate", str(folder), str(data), "--split", "train", "--json")
    assert json.loads(out)["n"] == 20

    code, out, _ = run(capsys, "resume", str(folder), "--json")
    assert code == 0
    assert json.loads(out)["scores"] == record["scores"]

    code, out, _ = run(capsys, "report", str(folder), str(runs / "a-b-c-2"), "--json")
    assert Path(json.loads(out)["report"]).name == "comparison.html"

    code, out, _ = run(capsys, "export", str(folder), "--static-batch", "--out", str(tmp_path / "m.onnx"), "--json")
    exported = json.loads(out)
    assert exported["batch"] == 1
    assert exported["relative_difference"] <= 1e-4

    code, _, err = run(capsys, "export", str(folder), "--static-batch", "--int8", "--out", str(tmp_path / "q.onnx"))
    assert code == 2
    assert "--static-batch is for the float file" in err

    measured = ["measure", str(tmp_path / "m.onnx"), str(folder / "spec.json"), "--rounds", "5", "--json"]
    code, out, _ = run(capsys, *measured)
    timing = json.loads(out)
    assert code == 0
    assert [row["n"] for row in timing["rows"]] == [5, 5]
    assert timing["machine"]["cores"] >= 1

    code, _, err = run(capsys, "measure", str(tmp_path / "m.onnx"), "--runtime", "eager")
    assert code == 2
    assert "runs in onnxruntime only" in err


@pytest.mark.parametrize(
    ("base", "budget", "name"),
    [
        ("efficientnet_b0", "20M-macs", "squares-20M"),
        ("mobilenetv1_025", "1.5M-macs,200k-params", "squares-mobilenetv1_025-1.5M-200k-params"),
    ],
)
def test_a_run_is_named_after_its_data_and_budget(tmp_path: Path, base: str, budget: str, name: str) -> None:
    job = design_job(squares(tmp_path), budget, base, "compound", cs.Options(), Watcher())
    assert named(job) == name
    assert RunFolder.create(tmp_path, "a=b@c d+e").path.name == "a-b-c-d-e"


def test_data_of_other_classes_is_refused_by_evaluate(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = squares(tmp_path)
    tiny = ["--runs", str(tmp_path / "runs"), "--name", "r", "--epochs", "1", *SMALL]
    with unexported():
        assert run(capsys, "design", str(data), "--to", "300k-macs", *tiny)[0] == 0
    code, _, err = run(capsys, "evaluate", str(tmp_path / "runs" / "r"), "digits")
    assert code == 2
    assert "which the network was not trained on; it knows '0', '1'" in err.replace("\n", " ")


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    """`kill -9` in the middle of training, then `resume`: the weights are those of a run that nobody disturbed."""
    data = squares(tmp_path, per_class=40)
    train = [
        "design",
        str(data),
        "--to",
        "300k-macs",
        *SMALL,
        "--epochs",
        "12",
        "--set",
        "batch=4",
        "--runs",
        str(tmp_path),
    ]
    with unexported(), in_threads(1):
        assert main([*train, "--name", "whole"]) == 0

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*UNEXPORTED, *train, "--name", "killed"], env=environment, **quiet)
    metrics = tmp_path / "killed" / "metrics.jsonl"
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 3:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    with metrics.open("a") as file:
        file.write('{"event": "epoch", "epo')  # as a kill in the middle of a line leaves it

    with unexported(), in_threads(1):
        assert main(["resume", str(tmp_path / "killed")]) == 0
    whole, killed = (tmp_path / name / "model.safetensors" for name in ("whole", "killed"))
    assert killed.read_bytes() == whole.read_bytes()
    epochs = [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()]
    assert epochs == list(range(1, 13))


def test_resuming_on_changed_data_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = squares(tmp_path)
    tiny = ["--runs", str(tmp_path / "runs"), "--name", "r", "--epochs", "1", *SMALL]
    with unexported():
        assert run(capsys, "design", str(data), "--to", "300k-macs", *tiny)[0] == 0
    (tmp_path / "runs" / "r" / "model.safetensors").unlink()
    squares(tmp_path, per_class=20)
    code, _, err = run(capsys, "resume", str(tmp_path / "runs" / "r"))
    assert code == 2
    assert "is not what" in err.replace("\n", " ")


def test_doctor_says_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "doctor", "--json")
    record = json.loads(out)
    assert code == 0
    assert record["machine"]["packages"]
    assert record["verdict"].split(":")[0] in {"quiet", "fair", "noisy"}


def test_doctor_minds_the_last_minute_too() -> None:
    def verdict(noise: float, load: float) -> str:
        return Doctor(replace(cs.this_machine(), cores=2), 2, "none", load, noise, 20).verdict

    assert verdict(0.01, 0.1).startswith("quiet: ")
    assert verdict(0.01, 4.0).startswith("fair: quiet just now, but 4.0 processes ran on 2 cores")
    assert verdict(0.3, 0.1).startswith("noisy: ")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("train", "resnet18", "digits", "--learning-rate", "0.1"), "unknown option --learning-rate; here it is --lr"),
        (("train", "resnet18", "digits", "--batch-size", "8"), "unknown option --batch-size; here it is --batch"),
        (("train", "resnet18", "digits", "--weight-decay", "0"), "here it is --set decay=..."),
        (("show", "resnet18", "--num-classes", "3"), "unknown option --num-classes; here it is --classes"),
        (("show", "resnet18", "--img-size", "3"), "unknown option --img-size; here it is --resolution"),
        (("train", "resnet18", "digits", "--epoch", "1"), "Did you mean --epochs?"),
    ],
)
def test_another_package_s_word_for_an_option_is_answered_by_ours(
    given: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(given) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cs.create("resnet18", num_classes=3), "create() has no argument 'num_classes'; did you mean 'classes'?"),
        (lambda: cs.spec("resnet18", img_size=64), "spec() has no argument 'img_size'; did you mean 'resolution'?"),
        (lambda: cs.train("resnet18", "digits", momentum=0.9), "train() has no argument 'momentum'"),
        (lambda: cs.train("resnet18", "digits", options=cs.Options(settings=("ema=0.9",))), "did you mean 'average'?"),
    ],
)  # fmt: skip
def test_another_package_s_word_for_an_argument_is_answered_by_ours(call: Callable[[], object], says: str) -> None:
    with pytest.raises(cs.UserError, match=re.escape(says)):
        call()
