"""The command line: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import inspect
import io
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import convsmith as cs
from convsmith.cli import main, screen
from convsmith.cli.app import app
from convsmith.cli.output import emit
from convsmith.cli.training import Training
from convsmith.errors import Stopped
from convsmith.jobs.timing.doctor import Doctor
from convsmith.jobs.train.begin import cramped, design_job, named
from convsmith.ledger import stages_of
from convsmith.progress import Progress, fitting
from convsmith.recipes import RECIPES
from convsmith.runs import RunFolder
from convsmith.stages import stage_rows
from convsmith.watcher import EpochDone, Started, StepDone, Watcher

VERBS = [
    "doctor",
    "list",
    "show",
    "scale",
    "measure",
    "design",
    "train",
    "fit-scaling",
    "ladder",
    "pick",
    "passport",
    "calibrate",
    "estimate",
    "diagnose",
    "convert",
    "pseudo-label",
    "search",
    "evaluate",
    "predict",
    "export",
    "report",
    "resume",
    "demo",
    "recipes",
    "runs",
    "completion",
    "help",
]


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(list(argv))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def squares(folder: Path, *, per_class: int = 12) -> Path:
    """An .npz of two classes that one look tells apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(2 * per_class) % 2
    images = rng.integers(0, 60, (2 * per_class, 8, 8, 3)) + 150 * labels[:, None, None, None]
    np.savez(folder / "squares.npz", images=images.astype(np.uint8), labels=labels)
    return folder / "squares.npz"


# ---- looking ---------------------------------------------------------------------------------------------------------


def test_the_first_screen_fits_and_names_the_main_job(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    assert "convsmith design ./photos --to 20M-macs" in out
    assert len(out.splitlines()) <= 24


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0
    assert out.startswith(f"Usage: convsmith {verb}")
    assert "--json" in out or verb == "help"
    assert "[default: ()]" not in out and "[default: False]" not in out and '[default: ""]' not in out
    assert run(capsys, "help", verb)[1] == out


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_of_every_verb_is_described(verb: str) -> None:
    bare = [argument.name for argument in app[verb].assemble_argument_collection() if not argument.parameter.help]
    assert [name for name in bare if name not in {"*", "--name", "--runs"}] == []


@pytest.mark.parametrize("verb", VERBS)
def test_the_examples_of_every_help_parse(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photos-20M", "photos-5ms"):
        shutil.copytree(Path(__file__).parent / "folders-0.1" / "begun", tmp_path / "runs" / name)
    for name in ("mine.json", "model.onnx"):
        (tmp_path / name).touch()
    shown = [line.strip() for line in run(capsys, verb, "--help")[1].split("Examples:")[1].splitlines() if line.strip()]
    assert 2 <= len(shown) <= 3
    for line in shown:
        assert line.startswith(f"convsmith {verb}") and len(line) < 78
        app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)


def test_help_and_version_answer_as_people_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "help")[1] == run(capsys, "--help")[1]
    assert run(capsys, "-V")[1] == run(capsys, "--version")[1]
    code, _, err = run(capsys, "help", "trian")
    assert code == 2 and "did you mean 'train'?" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_verbs_and_options(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    code, out, _ = run(capsys, "completion", shell)
    assert code == 0
    assert "fit-scaling" in out and "class-weights" in out


def test_quiet_leaves_results_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    loud, quiet = run(capsys, "list", "tinynet"), run(capsys, "list", "tinynet", "-q")
    assert quiet == (0, loud[1], "") and loud[2]
    assert "did you mean" in run(capsys, "-q", "show", "resnet19")[2]


def test_old_names_of_options_still_work_and_say_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "ladder", "resnet18", "digits", "--workers", "0", "--dry-run")
    assert code == 2
    assert "--workers of ladder is called --jobs now" in err and "--jobs. Must be >= 1" in err


def test_short_words_for_the_recipe_and_the_place_of_a_run() -> None:
    options = Training(epochs=3, batch=16, lr=0.2, settings=("decay=0",), out=Path("mine/first")).options()
    assert options.settings == ("decay=0", "epochs=3", "batch=16", "rate=0.2")
    assert (options.parent, options.name) == (Path("mine"), "first")
    old = Training(runs=Path("mine"), name="first").options()
    assert (old.parent, old.name) == (Path("mine"), "first")
    with pytest.raises(cs.UserError, match="leave out --name and --runs"):
        Training(out=Path("mine"), name="first").options()


def test_the_verbs_are_the_documented_ones() -> None:
    assert sorted(name for name in app if not name.startswith("-")) == sorted(VERBS)


def test_show_prints_the_exact_counts_and_the_paper_s(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", "efficientnet_b0")
    assert code == 0
    assert "5,288,548 parameters, 385,814,752 MACs (= 0.772 GFLOPs at 2 per MAC)" in out
    assert "paper: 0.39B macs (MACs), ours -1.07%: agrees" in out
    assert "mbconv k5 e6 se0.25" in out


def test_show_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", "resnet18", "--classes", "10", "--json")
    record = json.loads(out)
    assert code == 0
    assert record["cost"]["params"] == 11_181_642  # 11,689,512 less 990 classes of 513 weights
    assert cs.from_json(json.dumps(record["spec"])) == cs.spec("resnet18").with_classes(10)
    assert sum(stage["macs"] for stage in record["stages"]) == record["cost"]["macs"]


def test_list_narrows_by_pattern_and_family(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "list", "--json")
    everything = json.loads(out)["rows"]
    assert len(everything) == len(cs.published())
    _, out, _ = run(capsys, "list", "resnet*", "--json")
    assert {row["family"] for row in json.loads(out)["rows"]} == {"resnet", "resnet_rs", "resnetv2", "evonorm"}
    _, out, _ = run(capsys, "list", "--family", "mobilenetv1", "--json")
    assert len(json.loads(out)["rows"]) == 16
    _, out, _ = run(capsys, "list", "--family", "lambda", "--json")
    assert {row["family"] for row in json.loads(out)["rows"]} == {"lambda_resnet"}


def test_list_narrows_by_budget_and_is_sorted(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "list", "mob*", "--to", "300M-macs,3M-params", "--sort", "top-1", "--json")
    rows = json.loads(out)["rows"]
    assert rows and all(row["macs"] <= 300e6 and row["params"] <= 3e6 for row in rows)
    shares = [row["paper_top1"] or 0 for row in rows]
    assert shares == sorted(shares, reverse=True)
    _, out, _ = run(capsys, "list", "tinynet", "--sort", "macs")
    assert [line.split()[0][-1] for line in out.splitlines()[1:]] == ["e", "d", "c", "b", "a"]
    for to, words in (("1M-macs", "none of these .* the one of fewest MACs is tinynet_e"), ("5ms", "pick --to 5ms")):
        code, _, err = run(capsys, "list", "tinynet", "--to", to)
        assert code == 2 and re.search(words, err)


@pytest.mark.parametrize(
    "line", ["list tinynet", "recipes", "recipes nf-regnet", "runs tests/folders-0.1", "show resnet18"]
)
def test_tables_have_a_name_for_each_column_and_no_spaces_at_the_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    _, out, _ = run(capsys, *line.split())
    assert [each for each in out.splitlines() if each != each.rstrip()] == []
    heads = re.split(r"  +", out.splitlines()[0])
    assert len(heads) == len(set(heads))


def test_list_sums_up_by_family_where_there_are_several(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "list")
    summary = out.split("\n\n")[-1].splitlines()
    assert summary[0].split() == [
        "family",
        "rows",
        "as",
        "published",
        "within",
        "1",
        "%",
        "differs",
        "not",
        "published",
    ]
    assert int(summary[-1].split()[1]) == len(cs.published())
    _, out, _ = run(capsys, "list", "tinynet")
    assert "family" not in out


def test_scale_writes_a_spec_that_show_reads(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    code, out, _ = run(capsys, "scale", "mobilenetv2_100", "--to", "100M-macs", "--out", str(path))
    assert code == 0
    assert "under the macs limit" in out
    code, out, _ = run(capsys, "show", str(path))
    assert code == 0
    assert "mobilenetv2_100-compound" in out


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "nf_regnet_b0", "lambdaresnet50", "ghostnet_100"])
def test_what_the_ledger_knows_of_stages_is_what_the_network_counts(name: str) -> None:
    spec = cs.spec(name)
    assert stages_of(name) == (spec.input.resolution, stage_rows(spec))


def test_the_ledger_s_stages_add_up_to_its_counts() -> None:
    for name in dict.fromkeys(row.name for row in cs.published()):
        own, known = cs.spec(name), stages_of(name)
        assert known is not None and known[0] == own.input.resolution and own.head.n_names == 1000
        counted = {
            (row.macs, row.params) for row in cs.published(name) if (row.name, row.resolution) == (name, known[0])
        }
        assert counted <= {(sum(one.macs for one in known[1]), sum(one.params for one in known[1]))}
        assert sum(one.depth for one in known[1] if "stage" in one.name) == own.depth


def test_show_says_the_same_with_and_without_torch(capsys: pytest.CaptureFixture[str]) -> None:
    _, light, _ = run(capsys, "show", "resnet18")
    _, full, _ = run(capsys, "show", "resnet18", "--classes", "1000")
    assert light == full


def test_a_name_at_another_side_keeps_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert "source: Tan & Le 2019 (arXiv v5), table 2, of 224 px" in run(capsys, "show", "efficientnet_b0@160")[1]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "line", ["show efficientnet_b0", "list", "recipes", "recipes resnet-rs", "runs tests/folders-0.1"]
)
def test_no_table_is_cut_on_a_narrow_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, width: int
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    monkeypatch.setattr(screen.out, "_width", width)
    code, out, _ = run(capsys, *line.split())
    assert code == 0 and "…" not in out


def test_recipes_are_listed_and_shown_as_set_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "recipes", "--json")
    assert [one["name"] for one in json.loads(out)["recipes"]] == [one.name for one in RECIPES]
    _, out, _ = run(capsys, "recipes", "resnet-rs")
    for field in ("rate", "optimiser.momentum", "augment.policy.layers", "accumulate"):
        assert re.search(rf"^{re.escape(field)} ", out, flags=re.MULTILINE), field
    assert "arXiv:2103.07579" in out
    assert run(capsys, "recipes", "resnetrs")[0] == 2


def test_runs_lists_what_a_folder_holds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    old = Path(__file__).parent / "folders-0.1"
    for name in ("trained", "begun", "search", "ladder"):
        shutil.copytree(old / name, tmp_path / name)
    (tmp_path / "begun" / "config.json").write_text('{"verb": "train", "seed": "x"}')
    (tmp_path / "others").mkdir()
    code, out, _ = run(capsys, "runs", str(tmp_path), "--json")
    found = {Path(one["run"]).name: one for one in json.loads(out)["runs"]}
    assert code == 0 and sorted(found) == ["begun", "ladder", "search", "trained"]
    assert (found["trained"]["kind"], found["trained"]["state"]) == ("training", "finished")
    assert found["trained"]["score"]["name"] == "top1" and found["trained"]["cost"]["macs"] > 0
    assert "damaged" in found["begun"]["state"]
    assert run(capsys, "runs", str(tmp_path / "nowhere"))[0] == 2
    code, out, _ = run(capsys, "show", str(tmp_path / "trained"))
    assert code == 0 and "95 %, n =" in out


# ---- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["shw", "resnet18"], 'Did you mean "show"'),
        (["show"], "requires an argument"),
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
        (["scale", "resnet18", "--to", "-5M-macs"], "'-5M-macs' is not a limit"),
        (["search", "digits", "--to", "-5M-macs"], "'-5M-macs' is not a limit"),
        (["scale", "resnet18", "--to", "4GFLOPs"], "at 2 FLOPs per MAC this is 2G-macs"),
        (["scale", "resnet18", "--to", "1G"], "write 1G-macs, 1G-params or 5ms"),
        (["scale", "resnet18", "--to", "-5ms"], "which is above 0; write 5ms"),
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
    assert "stages[0].block.kernal: no such field; allowed are kernel, groups, shortcut; did you mean 'kernel'?" in err


# ---- doing -----------------------------------------------------------------------------------------------------------

QUICKLY = ["--epochs", "2", "--set", "batch=8"]


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
    tiny = ["--runs", str(tmp_path / "runs"), "--name", "r", "--epochs", "1"]
    assert run(capsys, "design", str(data), "--to", "300k-macs", *tiny)[0] == 0
    code, _, err = run(capsys, "evaluate", str(tmp_path / "runs" / "r"), "digits")
    assert code == 2
    assert "which the network was not trained on; it knows '0', '1'" in err.replace("\n", " ")


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    """`kill -9` in the middle of training, then `resume`: the weights are those of a run that nobody disturbed."""
    data = squares(tmp_path, per_class=40)
    train = [sys.executable, "-m", "convsmith", "design", str(data), "--to", "300k-macs", "--epochs", "12"]
    train += ["--set", "batch=4", "--runs", str(tmp_path)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*train, "--name", "whole"], check=True, **quiet)

    process = subprocess.Popen([*train, "--name", "killed"], **quiet)
    metrics = tmp_path / "killed" / "metrics.jsonl"
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 3:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    with metrics.open("a") as file:
        file.write('{"event": "epoch", "epo')  # as a kill in the middle of a line leaves it

    subprocess.run([sys.executable, "-m", "convsmith", "resume", str(tmp_path / "killed")], check=True, **quiet)
    whole, killed = (tmp_path / name / "model.safetensors" for name in ("whole", "killed"))
    assert killed.read_bytes() == whole.read_bytes()
    epochs = [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()]
    assert epochs == list(range(1, 13))


def test_resuming_on_changed_data_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = squares(tmp_path)
    tiny = ["--runs", str(tmp_path / "runs"), "--name", "r", "--epochs", "1"]
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
        (lambda: cs.train("resnet18", "digits", lr=1), "train() has no argument 'lr'"),
        (lambda: cs.train("resnet18", "digits", options=cs.Options(settings=("ema=0.9",))), "did you mean 'average'?"),
    ],
)  # fmt: skip
def test_another_package_s_word_for_an_argument_is_answered_by_ours(call: Callable[[], object], says: str) -> None:
    with pytest.raises(cs.UserError, match=re.escape(says)):
        call()


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

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt("interrupted; `convsmith resume runs/r` goes on")

    monkeypatch.setattr("convsmith.cli.list_.published", interrupted)
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
