"""The command line: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

import convsmith as cs
from commands import run
from convsmith.cli import screen
from convsmith.cli.app import app
from convsmith.cli.training import Training
from convsmith.ledger import stages_of
from convsmith.recipes import RECIPES
from convsmith.stages import stage_rows

VERBS = [
    "doctor",
    "list",
    "show",
    "scale",
    "measure",
    "design",
    "train",
    "family",
    "fit-scaling",
    "ladder",
    "pick",
    "passport",
    "calibrate",
    "estimate",
    "kit",
    "confirm",
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
    assert run(capsys, "help", "search", "norms")[1] == run(capsys, "search", "norms", "--help")[1]
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


def test_the_json_of_every_verb_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs/run-folder.md").read_text(encoding="utf-8")
    documented = {verb for line in page.splitlines() for verb in re.findall(r"`([a-z-]+)`", line.split(" | ")[0])}
    assert set(VERBS) - {"help"} <= documented


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
    assert len(everything) == len(cs.published(task="classify"))
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
    assert int(summary[-1].split()[1]) == len(cs.published(task="classify"))
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
    for name in dict.fromkeys(row.name for row in cs.published(task="classify")):
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
