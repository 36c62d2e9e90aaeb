"""`convsmith` when something is wrong: mistakes, screens that are not there, interruptions, words of other packages."""

from __future__ import annotations

import inspect
import io
import json
import math
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest
from rich.console import Console

import convsmith as cs
from commands import run
from convsmith.cli.output import emit
from convsmith.errors import Stopped
from convsmith.jobs.train.begin import cramped
from convsmith.progress import Progress, fitting
from convsmith.runs import RunFolder
from convsmith.watcher import EpochDone, Started, StepDone

# ---- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["shw", "resnet18"], 'Did you mean "show"'),
        (["show"], "requires an argument"),
        (["synthesise", "runs/r"], "unknown verb 'synthesise'; here it is `convsmith predict`"),
        (["version"], "here it is `convsmith --version`"),
        (["help", "search", "nroms"], "unknown verb 'search nroms'; did you mean 'norms'?"),
        (["search", "nowhere", "--to", "2M-macs", "--space", "t23"], "--space t23: unknown model 't23'"),
        (["show", "efficientnet-b0"], "unknown model 'efficientnet-b0'; did you mean 'efficientnet_b0'?"),
        (["show", "nothing.json"], "nothing.json does not exist"),
        (["show", "timm:resnet18"], "has no spec"),
        (["show", "resnet18", "--clases", "3"], "--classes"),
        (["show", "resnet18", "--classes", "many"], "many"),
        (["show", "resnet18", "--classes", "0"], "--classes. Must be >= 1"),
        (["list", "zzz"], "no variant matches 'zzz'"),
        (["scale", "resnet18", "--to", "1G-macs", "--threads", "2"], "--runtime and --threads are of milliseconds"),
        (["list", "--family", "resnets"], "did you mean 'resnet'?"),
        (["scale", "resnet18"], "--to"),
        (["scale", "resnet18", "--to", "5 parsecs"], "is not a limit"),
        (["search", "digits", "--to", "-5M-macs"], "'-5M-macs' is not a limit"),
        (["family", "resnet18", "digits", "--to", "-5M-macs"], "'-5M-macs' is not a limit"),
        (["scale", "resnet18", "--to", "4GFLOPs"], "at 2 FLOPs per MAC this is 2G-macs"),
        (["scale", "resnet18", "--to", "1G"], "write 1G-macs, 1G-params or 5ms"),
        (["scale", "resnet18", "--to", "-5ms"], "which is above 0; write 5ms"),
        (["scale", "resnet18", "--to", "-5M-macs"], "which is above 0; write 5M-macs"),
        (["scale", "resnet18", "--to", "1.2.3G-macs"], "no number that a count can be"),
        (["scale", "resnet18", "--to", "1e400-macs"], "no number that a count can be"),
        (["scale", "resnet18", "--to", "9" * 400 + "ms"], "a budget needs at least one limit"),
        (["show", "resnet18", "--classes", "99999999999"], "--classes. Must be <= 1000000"),
        (["show", "resnet18", "--resolution", "99999999999"], "--resolution. Must be <= 16384"),
        (["measure", "resnet18", "--threads", "99999999999"], "--threads. Must be <="),
        (["train", "resnet18", "digits", "--lr", "inf"], "--lr. Must be a finite number"),
        (["train", "resnet18", "digits", "--lr", "nan"], "--lr. Must be"),
        (["train", "resnet18", "digits", "--batch", "99999999999"], "--batch. Must be <="),
        (["train", "resnet18", "digits", "--set", "batch=99999999999"], "batch must be at most 1,000,000"),
        (["train", "resnet18", "digits", "--set", "epochs=99999999999"], "epochs must be at most 1,000,000"),
        (["train", "resnet18", "digits", "--set", "lr=1"], "did you mean 'rate'?"),
        (["train", "digits", "resnet18"], "the order is MODEL DATA, `convsmith train resnet18 digits`"),
        (["ladder", "tests", "resnet18"], "the order is MODEL DATA, `convsmith ladder resnet18 tests`"),
        (["show", "resnet18@0"], "unknown model 'resnet18@0'"),
        (["scale", "resnet18", "--to", "5ms", "--threads", "0"], "--threads. Must be >= 1"),
        (["scale", "resnet18", "--to", "1k-macs"], "nearest budget that can be met is"),
        (["scale", "resnet18", "--to", "1G-macs", "--rule", "compond"], "compound"),
        (["design", "digts", "--to", "2M-macs"], "did you mean 'digits'?"),
        (["design", "digits", "--to", "2M-mac"], "did you mean 'macs'"),
        (["train", "resnet18", "digits", "--set", "epoch=3"], "did you mean 'epochs'"),
        (["train", "resnet18", "digits", "--recipe", "quik"], "did you mean 'quick'"),
        (["train", "resnet18", "cifar10"], "--download"),
        (["resume", "nowhere"], "nowhere does not exist"),
        (["evaluate", "tests"], "is not a run folder"),
        (["report", "tests"], "is not a run folder"),
        (["measure", "timm:resnet19"], "timm has no model 'resnet19'"),
        (["measure", "resnet18", "--threads", "0"], "--threads. Must be >= 1"),
        (["measure", "resnet18", "nope"], "unknown model 'nope'"),
        (["train", "resnet18", "digits", "--resolution", "0"], "Must be >= 1"),
        (["train", "resnet18", "digits", "--workers", "-1"], "Must be >= 0"),
        (["train", "resnet18", "digits", "--seed", "99999999999999999999"], "--seed. Must be <"),
        (["train", "resnet18", "digits", "--epochs", "0"], "--epochs. Must be >= 1"),
        (["train", "resnet18", "digits", "--cache", "Makefile", "--dry-run"], "Makefile is a file"),
        (["design", "digits", "--to", "2M-macs", "--space", "bignas"], "--space is for --how search"),
        (["scale", "resnet18", "--to", "1G-macs+1M-params"], "joined by commas"),
        (["scale", "resnet18", "--to", "1G-macs", "--out", "tests"], "'tests' is a folder"),
        (["scale", "resnet18", "--to", "1G-macs", "--rule", "resnet-rs", "--images", "0"], "Must be >= 1"),
        (["ladder", "resnet18", "digits", "--seeds", "-1", "--dry-run"], "Must be >= 1"),
        (["ladder", "resnet18", "digits", "--grow", "3", "--dry-run"], "--grow is for the study of --factors"),
        (["doctor", "--workers", "2"], "convsmith doctor DATA --workers 2"),
        (["fit-scaling", "digits", "--jobs", "0", "--dry-run"], "Must be >= 1"),
        (["fit-scaling", "digits", "--epochs", "1", "--hours", "2"], "give one of them"),
        (["search", "digits", "--to", "2M-macs", "--tensorboard"], "its report"),
        (["report", "Makefile"], "Makefile is not a folder"),
        (["report", "tests/folders-0.1/trained", "--out", "page.pdf"], "a page is an .html; got page.pdf"),
        (["passport", "tests/folders-0.1/trained", "--out", "page.pdf"], "a page is an .html; got page.pdf"),
        (["show", ""], "an empty name is no model"),
        (["measure", "nothing.onnx"], "nothing.onnx does not exist"),
        (["export", "resnet18", "--to", "tflite"], "onnx"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_breath_with_exit_code_2(
    capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    code, out, err = run(capsys, *argv)
    assert code == 2
    assert out == ""
    assert said in err.replace("\n", " ")
    assert "Traceback" not in err


def test_in_python_a_recipe_may_be_named_by_itself() -> None:
    for verb in (cs.design, cs.train, cs.search):
        assert inspect.signature(verb).parameters["recipe"].default is None
    with pytest.raises(cs.UserError, match="did you mean 'quick'"):
        cs.train("resnet18", "digits", recipe="quik")
    with pytest.raises(cs.UserError, match="int8=True"):
        cs.export("resnet18", must="ms<=5")
    figure = cs.diagnose(cs.build(cs.spec("resnet18").with_resolution(32)), resolution=32).plot()
    assert figure.axes


@pytest.mark.parametrize("config", ["{}", "[]", "{"])
def test_a_folder_with_a_wrong_config_is_no_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: str
) -> None:
    (tmp_path / "config.json").write_text(config)
    for verb in ("resume", "report", "evaluate", "export"):
        code, _, err = run(capsys, verb, str(tmp_path))
        assert code == 2
        assert "config.json" in err
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_what_is_emitted_is_json_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"limit": math.inf, "rows": [{"top1": math.nan, "n": 3}, (1.5, -math.inf)]})
    text = capsys.readouterr().out
    assert json.loads(text) == {"limit": None, "rows": [{"top1": None, "n": 3}, [1.5, None]]}
    assert "Infinity" not in text and "NaN" not in text


def test_a_name_may_carry_its_resolution(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", "mobilenetv1_025@192", "--json")
    assert code == 0
    assert json.loads(out)["spec"]["input"]["resolution"] == 192
    assert [row["resolution"] for row in json.loads(out)["published"]] == [192]


def test_with_json_an_error_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", "resnet19", "--json")
    assert code == 2
    assert "did you mean 'resnet18'" in json.loads(out)["error"]


def test_a_wrong_spec_file_is_told_field_by_field(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = json.loads(cs.spec("resnet18").to_json())
    data["stages"][0]["block"]["kernal"] = 3
    (tmp_path / "mine.json").write_text(json.dumps(data))
    code, _, err = run(capsys, "show", str(tmp_path / "mine.json"))
    assert code == 2
    assert (
        "stages[0].block.kernal: no such field; allowed are kernel, groups, shortcut, dilation; did you mean 'kernel'?"
        in err
    )


# ---- stdout and stderr that are not there ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("list | head -1", 0),
        ("list --json | true", 0),
        ("list >&-", 0),
        ("list 2>&-", 0),
        ("list 2>/dev/full", 0),
        ("list >/dev/full", 2),
        ("list --json >/dev/full", 2),
        ("show nope 2>&-", 2),
        ("show nope >&- 2>&-", 2),
        ("show nope --json 2>/dev/full", 2),
        (">/dev/full", 2),
    ],
)
def test_without_a_screen_there_is_no_traceback_and_the_right_exit_code(line: str, code: int) -> None:
    words = f"set -o pipefail; {shlex.quote(sys.executable)} -m convsmith {line}"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert done.returncode == code, done.stderr


def test_a_check_that_fails_prints_one_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = types.SimpleNamespace(ratios=(("resnet18@224", 1.2),), ranks=False)
    monkeypatch.setattr("convsmith.jobs.timing.calibrate.calibration", lambda *_: None)
    monkeypatch.setattr("convsmith.jobs.timing.calibrate.steady", lambda *_, **__: steady)
    code, out, err = run(capsys, "calibrate", "--check", "--json")
    assert code == 1
    assert json.loads(out) == {
        "anchors": {"resnet18@224": 1.2},
        "ranks": False,
        "error": err.split("error: ")[1].strip(),
    }


def test_whoever_interrupts_is_told_how_the_run_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(Path("runs/my run"))
    with pytest.raises(KeyboardInterrupt, match=r"`convsmith resume 'runs/my run'` goes on"), folder.stoppable():
        raise KeyboardInterrupt
    with pytest.raises(Stopped, match=r"after step 3; `convsmith resume 'runs/my run'` goes on"), folder.stoppable():
        raise Stopped("after step 3")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt("interrupted; `convsmith resume runs/r` goes on")

    monkeypatch.setattr("convsmith.ledger.published", interrupted)
    code, _, err = run(capsys, "list")
    assert code == 130 and "convsmith resume runs/r" in err


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_progress_keeps_what_fits_and_cuts_nothing(width: int) -> None:
    words = ["step 39 of 62", "0:02 left", "loss 2.357", "val top-1 13.4%", "epoch 2", "709 images/s"]
    said = fitting(words, width)
    assert len(said) <= width and words[: said.count(", ") + 1] == said.split(", ")
    assert fitting(words, 5) == words[0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("train resnet18 digits --cache-side 32", "--cache-side is of --cache"),
        ("train resnet18 digits --pseudo-ratio 2", "--pseudo-ratio is of --pseudo"),
    ],
)
def test_an_option_that_could_have_no_effect_is_refused(
    capsys: pytest.CaptureFixture[str], line: str, says: str
) -> None:
    code, _, err = run(capsys, *line.split())
    assert code == 2 and says in err


def test_images_too_small_for_the_strides_are_told() -> None:
    assert "whose strides make one pixel of 32: from stage 2 on" in cramped(cs.spec("resnet18").with_resolution(7))
    assert cramped(cs.spec("resnet18").with_resolution(32)) == ""


def test_an_exported_file_is_not_measured_at_another_side(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    code, _, err = run(capsys, "measure", str(tmp_path / "m.onnx"), "--resolution", "64")
    assert code == 2 and "whose side is fixed" in err


def test_a_limit_that_is_used_up_has_nothing_to_fill(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "scale", "mobilenetv2_035", "--to", "59291000-macs", "--fill")
    assert code == 0 and "nothing to fill: at 225 px it would be over the limit" in out


def test_progress_of_a_second_training_begins_anew() -> None:
    """One watcher follows all trainings of a cross-validation."""
    out = io.StringIO()
    told = Progress(Console(file=out, width=200))
    for _ in range(2):
        told.record(Started(0, 4))
        assert told.last_epoch is None
        told.started = (told.started[0], told.started[1] - 10)  # as if ten seconds had gone by
        for step in range(1, 5):
            told.record(StepDone(step, 4, 1 + (step - 1) // 2, 0.5, 0.1, 8))
            if step % 2 == 0:
                told.record(EpochDone(step // 2, step, 0.5, 0.5, 0.1, 8.0, 1.0, {"val_top1": step / 4}))
    lines = out.getvalue().splitlines()
    assert sum("epoch 2:" in line and "100.0%" in line for line in lines) == 2  # the last epoch is always told


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("train resnet18 digits --opt adamw", "here it is --set optimiser.kind="),
        ("train --model resnet18 digits", "comes without a word before it"),
        ("train resnet18 digits epochs=1", "'epochs=1' is no option: it is written --epochs 1"),
    ],
)
def test_other_packages_ways_are_answered(capsys: pytest.CaptureFixture[str], line: str, why: str) -> None:
    code, _, err = run(capsys, *line.split())
    assert code == 2 and why in " ".join(err.split())
