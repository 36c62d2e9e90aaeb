"""A search hands over what it says: children within their budgets, whole runs each, the same after any kill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from convsmith.cli import main
from convsmith.codec import to_json
from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.evals import Top1, evaluate
from convsmith.exporting import export_onnx
from convsmith.exporting.runtimes import RUNTIMES
from convsmith.jobs.feed import metadata_of, normaliser, shape_of, trained, validation_batches
from convsmith.jobs.options import Options
from convsmith.jobs.search.begin import SearchOptions, child_model, resume_search, search, space_of
from convsmith.jobs.search.page import handed_over, missed
from convsmith.jobs.search.request import in_three
from convsmith.jobs.source import Source
from convsmith.runs import Kind, Limit, RunFolder
from convsmith.supernet import SPACES, Axes, Space
from convsmith.units import Budget
from convsmith.watcher import StepDone, Watcher
from farms import Here
from supernets import TINY
from unexported import unexported

TO = "450k-macs,1000ms"
HOW = SearchOptions(rounds=1, per_round=3, threads=2, scorers=1)
# Two epochs of a network this small learn nothing; what is tested is that everything agrees.
OPTIONS = Options(settings=("epochs=2", "batch=256"))


@pytest.fixture(scope="module", autouse=True)
def _few_timed() -> Iterator[None]:
    """Of the dozen children by which milliseconds are predicted, both ends and one: each is exported, which takes seconds. And
    three of those by which it is looked whether scores order them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("convsmith.jobs.search.predicted.FITTED", 3)
        patched.setattr("convsmith.jobs.search.ranking.LOOKED_AT", 3)
        patched.setattr("convsmith.jobs.search.ranking.LEAST", 3)
        yield


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("search")
    spec = folder / "small.json"
    stages = tuple(
        replace(stage, width=width, depth=2, block=replace(stage.block, kernel=3))
        for stage, width in zip(TINY.base.stages, (24, 32), strict=True)
    )
    stem = replace(TINY.base.stem, width=16)  # type: ignore[call-arg]
    spec.write_text(to_json(replace(TINY.base, name="small", stem=stem, stages=stages)))
    options = replace(OPTIONS, parent=folder, name="found")
    return search("digits", to=TO, options=options, how=replace(HOW, space=str(spec)))


def test_every_budget_has_a_child_that_meets_it_and_is_a_run(searched: RunFolder) -> None:
    for name, budget in (("450k-macs", Budget(macs=450_000)), ("1000ms", Budget(ms=1000))):
        child = RunFolder.open(searched.file("children") / name)
        assert budget.admits(cost(child.spec))
        met = child.config.met
        assert met and all(limit.actual <= limit.limit for limit in met.values())
        assert child.scores.n == 359, "on the validation images, which chose nothing"
        assert child.has("model.onnx") and child.has("report.html")
        assert child.latency.rows[0].threads == 2, "as it was chosen"


def test_a_child_scores_in_its_run_what_it_scored_in_the_search(searched: RunFolder) -> None:
    """The winner's own weights, on the held-out images, give the number that chose it."""
    row = searched.front.winners[0]
    child = RunFolder.open(searched.child(row.budget))
    images = in_three(Source.of(searched).load(Watcher()), 0)
    cpu = torch.device("cpu")
    found = evaluate(
        trained(child, child.spec),
        validation_batches(child.spec, images.val)(),
        Top1(images.classes),
        prepare=normaliser(child.spec, cpu),
        device=cpu,
    )
    assert found["top1"] == row.score.value


def test_the_front_has_no_child_that_another_beats(searched: RunFolder) -> None:
    found = searched.front
    assert found.axis == "macs", "not every budget is one of milliseconds"
    front = [(row.macs, row.score.value) for row in found.front]
    assert front == sorted(front) and len({top1 for _, top1 in front}) == len(front)
    for macs, top1 in found.tried:
        assert any(own <= macs and better >= top1 for own, better in front)
    assert found.scored == len(searched.file("children.jsonl").read_text().splitlines()) - 1


def test_a_child_of_the_front_is_exported_by_its_number(searched: RunFolder, tmp_path: Path, capsys: object) -> None:
    model = child_model(searched, 1)
    assert cost(model.spec).macs == searched.front.front[0].macs
    assert main(["export", str(searched.path), "--child", "1", "--out", str(tmp_path / "one.onnx")]) == 0
    says = metadata_of(model.spec, searched.read("data.json")["classes"])
    exported = export_onnx(model, tmp_path / "again.onnx", input_shape=shape_of(model.spec), metadata=says)
    assert exported.bytes == (tmp_path / "one.onnx").stat().st_size
    assert main(["export", str(searched.path), "--child", "99"]) == 2
    assert main(["export", str(searched.file("children") / "1000ms"), "--child", "1"]) == 2


def test_the_report_has_a_card_for_each_point_and_needs_nothing_else(searched: RunFolder) -> None:
    page, front = searched.file("report.html").read_text(), searched.front.front
    for number in range(1, len(front) + 1):
        assert f"<title>child {number}: " in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page


def test_a_search_that_was_stopped_chooses_the_same(searched: RunFolder, tmp_path: Path) -> None:
    """Killed after training, with half a line of scores written: the same winners, the same front."""
    copy = tmp_path / "copy"
    shutil.copytree(searched.path, copy)
    for name in ("front.json", "report.html"):
        (copy / name).unlink()
    shutil.rmtree(copy / "children")
    lines = (copy / "children.jsonl").read_text().splitlines(keepends=True)
    (copy / "children.jsonl").write_text("".join(lines[: len(lines) // 2]) + lines[-1][:9])
    with unexported(page=True):
        resumed = resume_search(RunFolder.open(copy))
    old, new = searched.front, resumed.front
    assert new.winners == old.winners
    assert sorted(new.tried) == sorted(old.tried)
    assert new.front == old.front
    assert (copy / "report.html").exists()


def test_a_finished_search_is_told_again_by_resume(searched: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(searched.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["budget"] for row in told["children"]] == TO.split(",")
    assert main(["resume", str(searched.path)]) == 0
    assert "450k-macs" in capsys.readouterr().out


def test_scores_of_other_weights_are_not_read(searched: RunFolder, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(searched.path, copy)
    text = (copy / "children.jsonl").read_text()
    (copy / "children.jsonl").write_text(text.replace(json.loads(text.splitlines()[0])["key"], "0" * 16))
    (copy / "front.json").unlink()
    notes: list[str] = []

    class Listening(Watcher):
        def note(self, text: str) -> None:
            notes.append(text)

    resume_search(RunFolder.open(copy), watcher=Listening())
    assert not any("scored before" in note for note in notes)


def test_torchruns_second_start_goes_on_with_the_run_of_the_first(
    searched: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convsmith.jobs.search.begin.recalled", lambda: str(searched.path))
    options = replace(OPTIONS, parent=tmp_path, name="found")
    assert search("digits", to=TO, options=options, how=HOW).path == searched.path
    assert not list(tmp_path.iterdir())


def test_a_kill_before_the_report_leaves_what_was_measured(searched: RunFolder, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(searched.path, copy)
    child = RunFolder.open(copy / "children" / "1000ms")
    child.file("report.html").unlink()
    before = child.config.met
    assert before and before["ms"].actual == child.latency.rows[0].median_ms
    resume_search(RunFolder.open(copy))
    assert child.has("report.html") and child.config.met == before


@pytest.mark.skipif(not RUNTIMES["openvino"].installed, reason="openvino is an extra")
def test_children_are_chosen_shipped_and_told_in_the_runtime_that_was_asked_for(
    searched: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same supernet, of which nothing is chosen yet."""
    copy = RunFolder.open(shutil.copytree(searched.path, tmp_path / "copy"))
    shutil.rmtree(copy.file("children"))
    copy.file("front.json").unlink()
    config = copy.config
    copy.write_config(replace(config, how={**(config.how or {}), "runtime": "openvino"}))
    assert main(["resume", str(copy.path), "--json"]) == 0
    for child, told in zip(handed_over(copy), json.loads(capsys.readouterr().out)["children"], strict=True):
        run = RunFolder.open(child.folder)
        (row,) = run.latency.rows
        assert row.runtime == child.runtime == told["runtime"] == run.config.runtime == "openvino"
        assert run.has("model.xml") and run.has("export_openvino.json") and run.has("model.onnx")
    assert told["met"]["ms"]["runtime"] == "openvino" and told["ms"] == told["met"]["ms"]["is"]
    assert json.loads(copy.file("timed.json").read_text())["where"].endswith(", 2 threads, openvino")
    page = copy.file("report.html").read_text()
    assert "milliseconds in openvino" in page and "ms measured after export, in openvino" in page


def test_changed_data_is_refused(searched: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other images under the same labels: no child would be what it was scored as."""
    copy = tmp_path / "copy"
    shutil.copytree(searched.path, copy)
    data = json.loads((copy / "data.json").read_text())
    (copy / "data.json").write_text(json.dumps(data | {"contents": "0" * 16}))
    assert main(["resume", str(copy)]) == 2
    assert "is not what" in capsys.readouterr().err
    assert main(["export", str(copy), "--child", "1"]) == 2
    assert "is not what" in capsys.readouterr().err


def test_a_limit_that_the_shipped_file_is_over_is_said(searched: RunFolder) -> None:
    (_, own) = handed_over(searched)
    assert missed(own.met) == ""
    assert missed({"ms": Limit(1.0, 1.25)}).startswith("as shipped it took 1.25 ms, 25.0% over its limit")


# ---- trained on ------------------------------------------------------------------------------------------------------


def test_a_child_is_trained_on_beside_what_was_cut_out_and_after_any_kill_the_same(
    searched: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [RunFolder(tmp_path / name) for name in ("whole", "killed")]
    files = [path for path in searched.file("children").rglob("*") if path.is_file() and path.suffix != ".html"]
    cut = {path: path.read_bytes() for path in files}
    with unexported(page=True):
        for run in runs:
            shutil.copytree(searched.path, run.path)
            config = json.loads(run.file("config.json").read_text())
            run.write("config.json", config | {"how": config["how"] | {"finish": 2}})
            if run is runs[1]:
                with pytest.raises(KeyboardInterrupt):
                    resume_search(run, watcher=Interrupting(at=7))  # of ten, in the second epoch
                assert run.finished("450k-macs").has("last.pt") and not run.finished("450k-macs").has("config.json")
            resume_search(run)
        assert main(["resume", str(runs[0].path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["children"]
    for row, one in zip(told, handed_over(runs[0]), strict=True):
        assert one.finished is not None
        gain = row["finished"]["top1"] - row["top1"]
        assert row["finished"]["gain"] == pytest.approx(gain) and one.finished.gain_text.endswith("points")
        done = RunFolder.open(one.finished.folder)
        assert done.kind is Kind.CHILD and done.spec == RunFolder.open(one.folder).spec and done.scores.n == 359
        weights = [folder.file("model.safetensors").read_bytes() for folder in (done, RunFolder.open(one.folder))]
        assert weights[0] != weights[1]
        assert weights[0] == runs[1].finished(row["budget"]).file("model.safetensors").read_bytes()
        assert "trained on for 2 epochs" in done.config.differences[0]
    for path, content in cut.items():
        assert (runs[0].path / path.relative_to(searched.path)).read_bytes() == content, "what was cut out stays"
    assert "Trained on" in runs[0].file("report.html").read_text()


class Interrupting(Watcher):
    """Ctrl-C at a step of what trains."""

    def __init__(self, at: int) -> None:
        self.at = at

    def record(self, record: object) -> None:
        if isinstance(record, StepDone) and record.step == self.at:
            raise KeyboardInterrupt


# ---- beside each other -----------------------------------------------------------------------------------------------


def test_two_processes_score_as_one_does_and_foils_are_trained_once(
    searched: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convsmith.jobs.studies.trials.Farm", Here)  # of the foils alone
    copy = tmp_path / "copy"
    shutil.copytree(searched.path, copy)
    for name in ("front.json", "report.html", "children.jsonl"):
        (copy / name).unlink()
    shutil.rmtree(copy / "children")
    config = json.loads((copy / "config.json").read_text())
    config["how"] |= {"scorers": 2, "against": ["mobilenetv1_025", "mobilenetv2_035@resolution"]}
    (copy / "config.json").write_text(json.dumps(config))
    with unexported(page=True):
        run = resume_search(RunFolder.open(copy))
    assert run.front.winners == searched.front.winners
    known = [
        sorted(path.read_text().splitlines()) for path in (copy / "children.jsonl", searched.file("children.jsonl"))
    ]
    assert known[0] == known[1]

    foils = run.foils
    winners = {row.budget: row for row in run.front.winners}
    assert {foil.against for foil in foils} <= {"mobilenetv1_025", "mobilenetv2_035@resolution"} and foils
    for foil in foils:
        assert foil.macs <= winners[foil.budget].macs and foil.n == 359 and not foil.failed
    page = (copy / "report.html").read_text()
    assert (
        "Trained alone" in page and page.count("<svg") == (searched.path / "report.html").read_text().count("<svg") + 1
    )
    results = {path: path.stat().st_mtime_ns for path in (copy / "against").glob("*.json")}
    (copy / "foils.json").unlink()
    resume_search(RunFolder.open(copy))
    assert {path: path.stat().st_mtime_ns for path in (copy / "against").glob("*.json")} == results


# ---- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "1k-macs"], "no network of t32's space meets 1k-macs: its smallest has"),
        (["--to", "2M-macs,2M-macs"], "named twice"),
        (["--to", "2M-mac"], "2M-mac"),
        (["--to", "2M-macs,0.0001ms"], "no network of t32's space is within 0.0001ms here: its smallest takes"),
        (["--to", "2M-macs", "--space", "t33"], "--space t33: unknown model 't33'; did you mean 't32'?"),
        (["--to", "2M-macs", "--rounds", "-1"], "--rounds"),
        (["--to", "2M-macs", "--against", "efficientnet_b0@tinny"], "tinny"),
        (["--to", "2M-macs", "--against", "efficientnetb0"], "did you mean 'efficientnet_b0'"),
        (["--to", "2M-macs", "--set", "frozen=true"], "frozen=False"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "digits", *words, "--runs", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_what_leaves_no_choice_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SPACES, "one", Space(TINY.base, stages=(Axes(), Axes())))
    runs, data = tmp_path / "runs", tmp_path / "data.npz"
    assert main(["search", "digits", "--to", "2M-macs", "--space", "one", "--runs", str(runs)]) == 2
    assert "leaves no choice" in capsys.readouterr().err
    np.savez(data, images=np.zeros((4, 12, 12, 3), np.uint8), labels=np.array([0, 0, 1, 1]))
    assert main(["search", str(data), "--to", "2M-macs", "--runs", str(runs)]) == 2
    assert "one training image a class" in capsys.readouterr().err
    assert main(["design", "digits", "--to", "2M-macs", "--how", "search", "--base", "resnet18"]) == 2
    assert "--space says which" in capsys.readouterr().err
    with pytest.raises(UserError, match="pseudo-labels"):
        search("digits", to="2M-macs", options=replace(OPTIONS, pseudo="labels.jsonl", parent=runs))
    assert not runs.exists()


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "digits", "--to", "2M-macs", "--dry-run", "--json", "--runs", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["networks"] == 82_944 and found["train_images"] + found["held_out"] == 1438
    scoring = found["scored"] * found["seconds_a_child"] / found["scorers"]
    assert found["hours"] * 3600 == pytest.approx(found["steps"] * found["seconds_a_step"] + scoring)
    assert found["seconds_a_step"] > 0 and found["seconds_a_child"] > 0 and found["dry_run"]
    assert not list(tmp_path.iterdir())


def test_design_may_search_for_one_budget_of_several_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = str(Path(__file__).parent / "folders-0.1" / "small.json")
    words = [
        "design",
        "digits",
        "--to",
        "2M-macs,50k-params",
        "--how",
        "search",
        "--space",
        small,
        "--dry-run",
        "--json",
    ]
    assert main([*words, "--runs", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["networks"] == space_of(small).size()
    words[3] = "2M-macs,1k-params"
    assert main([*words, "--runs", str(tmp_path)]) == 2
    assert "no network of small's space meets" in capsys.readouterr().err


def test_a_space_may_be_that_of_a_model() -> None:
    space = space_of("resnet18")
    assert space.biggest().stages[0].depth == 2 and cost(space.smallest()).macs < cost(space.biggest()).macs / 2
    assert space.resolution == (144, 160, 192, 224)
    b0 = space_of("efficientnet_b0")
    assert b0.stages[2].kernel == (3, 5) and b0.stages[0].kernel == (3,)
    assert space_of("t32").size() == 82_944
