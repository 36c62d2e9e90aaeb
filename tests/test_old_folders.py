"""Folders of version 0.1 are read, reported, evaluated and resumed for ever (`folders-0.1/README.md`). That they are exported,
too, stands in the table of tests/test_verbs_and_kinds.py, which works with the same folders."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from convsmith.cli import main
from convsmith.exporting.ort import session
from convsmith.jobs.feed import trained
from convsmith.jobs.search.page import write_page
from convsmith.machine import Machine, this_machine
from convsmith.reports import RunFacts, render
from convsmith.runs import Config, Data, Epoch, Export, Front, Kind, Latency, Readable, RunFolder, read
from convsmith.scores import Scores
from unexported import unexported

OLD = Path(__file__).parent / "folders-0.1"
KINDS: dict[str, type[Readable]] = {
    "config.json": Config,
    "data.json": Data,
    "scores.json": Scores,
    "latency.json": Latency,
    "export.json": Export,
    "front.json": Front,
}
FILES = sorted(path for path in OLD.rglob("*.json") if path.name in KINDS)
RUNS = sorted(path.parent for path in OLD.rglob("config.json"))
TRAININGS = [run for run in RUNS if not (run / "space.json").exists()]


def named(path: Path) -> str:
    return str(path.relative_to(OLD))


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the folders to work in: every path in them is relative to it."""
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path / "old"
    torch.set_num_threads(threads)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def lacks(before: object, now: object, where: str = "") -> list[str]:
    """What `before` says and `now` does not: keys that are missing, and values that are of another shape."""
    match before, now:
        case dict(), dict():
            gone = [f"{where}.{key}" for key in before.keys() - now.keys()]
            return gone + [
                line for key in before.keys() & now.keys() for line in lacks(before[key], now[key], f"{where}.{key}")
            ]
        case [first, *_], [other, *_]:
            return lacks(first, other, f"{where}[0]")
        case (dict(), _) | (list(), None):
            return [where]
    return []


def differs(before: object, now: object, where: str = "") -> list[str]:
    """As `lacks`, and where a value is another."""
    match before, now:
        case dict(), dict():
            shared = before.keys() & now.keys()
            return lacks(before, now, where) + [
                x for key in shared for x in differs(before[key], now[key], f"{where}.{key}")
            ]
        case list(), list() if len(before) == len(now):
            return [
                x for at, pair in enumerate(zip(before, now, strict=True)) for x in differs(*pair, f"{where}[{at}]")
            ]
    return [] if before == now else [where]


def here(machine: Machine | None) -> tuple[object, ...]:
    """What decides how numbers are rounded."""
    assert machine is not None
    return machine.processor, machine.system, [package for package in machine.packages if package[0] != "convsmith"]


# The folders were made on a processor with AVX-512, which a machine does not say of itself.
ROUNDS_ALIKE = torch.backends.cpu.get_cpu_capability() == "AVX512"


# ---- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_file_is_read_and_would_be_written_with_all_it_says(path: Path) -> None:
    found: Any = read(path, KINDS[path.name])
    assert differs(json.loads(path.read_text()), json.loads(json.dumps(found.to_record()))) == []


@pytest.mark.parametrize("run", RUNS, ids=named)
def test_every_run_is_what_it_was(run: Path) -> None:
    found = RunFolder.open(run)
    kind = (
        Kind.SEARCH if (run / "space.json").exists() else Kind.CHILD if run.parent.name == "children" else Kind.TRAINING
    )
    assert found.kind is kind and found.seed == 0 and found.recipe.epochs > 0 and found.spec.name
    lines = list(found.metrics())
    assert len(found.lines) == len(lines)
    for before, now in zip(lines, found.lines, strict=True):
        assert differs(before, now.to_record()) == []


@pytest.mark.parametrize("run", TRAININGS, ids=named)
def test_every_run_has_a_report_in_which_nothing_is_left_out(run: Path) -> None:
    assert RunFacts.read(run).problems == ()
    page = render([run])
    assert "Top-1" in page
    assert "mean of the classes&#39; top-1" in page or not (run / "scores.json").exists()


def test_runs_are_compared_and_a_search_has_its_page(old: Path) -> None:
    assert "Top-1 against MACs" in render([old / "trained", old / "search/children/400k-macs"])
    before = (old / "search/report.html").read_text()
    write_page(RunFolder.open("search"))
    after = re.sub(r'<div class="verdict.*?</div>\n', "", (old / "search/report.html").read_text(), flags=re.DOTALL)
    shown = [text[text.index("<main>") : text.index("<figure>")] for text in (before, after)]
    words = [re.sub("<[^>]+>", "", text).split() for text in shown]
    assert words[0] == words[1]  # but for the verdict, which pages of 0.1 did not have


# ---- working with them -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trained", "pseudo", "search/children/200k-macs"])
def test_a_run_is_evaluated_to_the_scores_it_had(name: str, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, now = RunFolder.open(name).scores, Scores.from_record(told(capsys, "evaluate", name))
    # One image of 359 may fall on the other side on another machine.
    for metric in before.metrics:
        assert now[metric.name] == pytest.approx(metric.value, abs=0.003 if metric.name != "loss" else 1e-3)
    assert main(["evaluate", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["top-1", "top-5", "mean"] and "(95 %, n = 359)" in lines[0]


def test_a_training_that_was_stopped_ends_where_the_whole_one_did(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, "resume", "begun")
    whole, resumed = RunFolder.open("trained"), RunFolder.open("begun")
    assert [epoch.epoch for epoch in resumed.epochs] == list(range(1, 13))
    assert lacks(json.loads((OLD / "json/resume.json").read_text()), found) == []
    # Where the same packages run on the same processor the weights are equal to the bit; rounding is another machine's own.
    weights = [load_file(run.file("model.safetensors")) for run in (whole, resumed)]
    assert weights[0].keys() == weights[1].keys()
    if ROUNDS_ALIKE and here(this_machine()) == here(whole.config.machine):
        assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-2, atol=1e-3)
    assert resumed.scores["top1"] == pytest.approx(whole.scores["top1"], abs=0.1)
    images = torch.randn(4, *resumed.spec.input.shape.dims)
    with torch.no_grad():
        logits = trained(resumed, resumed.spec)(images).numpy()
    shipped = session(resumed.file("model.onnx"), threads=1)
    found = shipped.run(None, {"images": images.numpy()})[0]
    assert found == pytest.approx(logits, rel=1e-3, abs=1e-4)


def test_a_finished_run_is_told_again_and_nothing_is_done(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (old / "trained").iterdir() if path.name != "report.html"}
    assert lacks(json.loads((OLD / "json/train.json").read_text()), told(capsys, "resume", "trained")) == []
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert main(["resume", "trained"]) == 0
    assert "top-1    54.60%  [49.42%, 59.67%]  (95 %, n = 359)" in capsys.readouterr().out


def test_a_finished_search_is_told_again(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads((OLD / "json/search.json").read_text())
    assert differs(before, told(capsys, "resume", "search")) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["search-begun", "search-scoring"])
def test_a_search_that_was_stopped_goes_on(name: str, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scored = old / name / "children.jsonl"
    kept = scored.read_text().splitlines()[1:] if scored.exists() else []
    # The same children are shipped after both; of one, with files of their own.
    with unexported(page=True) if name == "search-scoring" else nullcontext():
        found = told(capsys, "resume", name)
    assert lacks(json.loads((OLD / "json/search.json").read_text()), found) == []
    assert [row["budget"] for row in found["children"]] == ["400k-macs", "200k-macs"]
    assert all((Path(row["folder"]) / "model.onnx").is_file() for row in found["children"])
    assert "Handed over" in (old / name / "report.html").read_text()
    run, whole = RunFolder.open(name), RunFolder.open("search")
    assert [row.budget for row in run.front.winners] == [row.budget for row in whole.front.winners]
    assert len(run.epochs) == 4 and run.front.metric.name == "top1"
    assert [line for line in scored.read_text().splitlines()[1:] if line in kept] == kept, (
        "what was scored is not scored again"
    )


def test_what_labelled_and_what_learnt_from_labels_go_on(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["pseudo-label", "trained", "unlabelled.npz", "--out", "again.json", "--threshold", "0.2", "--balance", "8"]
    found = told(capsys, *words)
    assert lacks(json.loads((OLD / "json/pseudo-label.json").read_text()), found) == []
    (old / "pseudo/scores.json").unlink()
    told(capsys, "resume", "pseudo")
    assert RunFolder.open("pseudo").scores.n == RunFolder(OLD / "pseudo").scores.n


# ---- JSON on the command line ----------------------------------------------------------------------------------------

VERBS = {
    "list": "list mobilenetv2*",
    "show": "show mobilenetv1_025@192",
    "show-spec": "show small.json",
    "scale": "scale mobilenetv1_025 --to 3M-macs,200k-params --classes 10",
    "scale-tiny": "scale efficientnet_b0 --to 20M-macs --rule tiny --classes 10",
    "scale-resnet-rs": "scale resnetrs50 --to 1G-macs --rule resnet-rs --epochs 10 --images 1438",
    "scale-fill": "scale tiny.json --to 1M-macs --rule width --fill",
    "scale-fitted": "scale mobilenetv1_025 --to 3M-macs --rule fit-scaling/rule.json",
    "predict": "estimate tiny.json mobilenetv1_025@128 --folder calibration",
    "diagnose-run": "diagnose trained --data digits",
    "convert-evonorm": "convert small.json --norm evonorm-s0 --out spec-again.json",
    "convert-live": "convert trained --norm nf --live --keep-function",
    "measure": "measure tiny.json --rounds 5",
    "design-dry-run": "design digits --to 300k-macs --base tiny.json --rule width --dry-run",
    "train-dry-run": "train tiny.json digits --dry-run",
    "ladder-dry-run": "ladder tiny.json digits --epochs 2 --seeds 1 --workers 2 --dry-run",
    "evaluate": "evaluate trained",
    "evaluate-train": "evaluate trained digits --split train",
    "export": "export trained --static-batch --out static.onnx",
    "report": "report trained",
    "report-compared": "report trained begun",
}


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_still_says_all_that_it_said(name: str, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lacks(json.loads((OLD / f"json/{name}.json").read_text()), told(capsys, *VERBS[name].split())) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words", "why"),
    [
        ("fit-scaling", "--trials 4 --out fit-scaling", "3 networks can be tried, and a rule needs four"),
        (
            "fit-scaling-tiny",
            "--trials 4 --rule tiny --front 1 --against width --out fit-scaling-tiny",
            "cannot be told from the 10.31% of always answering '3'",
        ),
    ],
)
def test_a_scaling_study_that_was_believed_at_chance_is_refused_and_trains_nothing(
    name: str, words: str, why: str, old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = (
        "fit-scaling digits --base mobilenetv1_025 --resolution 32 --seeds 1 --set epochs=1 --set batch=256 --workers 2"
    )
    kept = {path.name: path.stat().st_mtime_ns for path in (old / name / "trials").glob("[!.]*")}
    assert main([*base.split(), *words.split(), "--json"]) == 2
    assert why in json.loads(capsys.readouterr().out)["error"]
    assert {path.name: path.stat().st_mtime_ns for path in (old / name / "trials").glob("[!.]*")} == kept


@pytest.mark.parametrize(
    ("name", "words"),
    [("ladder", "--epochs 2 --seeds 1"), ("ladder-factors", "--recipe resnet-rs --epochs 2 --seeds 1 --factors")],
)
def test_a_ladder_asked_for_again_trains_nothing(
    name: str, words: str, old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, *f"ladder tiny.json digits {words} --workers 2 --out {name}".split())
    assert lacks(json.loads((OLD / f"json/{name}.json").read_text()), found) == []
    kept = {path.name for path in (OLD / name).iterdir() if path.suffix == ".json"}
    assert {path.name for path in (old / name).iterdir() if path.suffix == ".json"} == kept


def test_equal_numbers_are_epochs_whoever_wrote_them() -> None:
    before = Epoch.from_record({"event": "epoch", "epoch": 1, "step": 22, "rate": 1, "val_top1": 1})
    assert before == Epoch.from_record({"event": "epoch", "epoch": 1, "step": 22, "rate": 1.0, "val_top1": 1.0})
