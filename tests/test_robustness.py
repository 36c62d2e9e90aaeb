"""What corruptions leave of a run, and the page of it."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from convsmith import GroupNorm, UserError, build, evaluate
from convsmith.cli import main
from convsmith.corruptions import CORRUPTIONS
from convsmith.evals import bootstrapped
from convsmith.jobs.feed import record_of_weights
from convsmith.jobs.passport import passport
from convsmith.jobs.robustness import asked, robustness
from convsmith.reports import in_words
from convsmith.runs import Cell, Robustness, RunFolder

TRAINED = Path(__file__).parent / "folders-0.1/trained"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TRAINED, tmp_path / "first"))


@pytest.fixture
def few(tmp_path: Path) -> str:
    """Thirty digits, three of each."""
    digits = load_digits()
    own = np.concatenate([np.flatnonzero(digits.target == digit)[:3] for digit in range(10)])
    images = (digits.images[own] * 15.9).astype(np.uint8)
    np.savez(tmp_path / "few.npz", images=images, labels=digits.target[own])
    return str(tmp_path / "few.npz")


def test_cells_and_means_are_those_of_the_corrupted_pictures(run: Path, few: str) -> None:
    found = robustness(run, few, corrupt=["noise", "contrast"], severity=[5, 1])
    clean = evaluate(run, few)
    assert (found.n, found.clean) == (30, clean.headline)
    assert found.names == ("gaussian_noise", "shot_noise", "impulse_noise", "contrast") and found.severities == (1, 5)
    noise = [cell.score for cell in found.cells if cell.corruption != "contrast"]
    assert found.mean("noise").value == pytest.approx(np.mean(noise)) and found.groups == ("noise", "digital")
    low, high = found.mean().interval or (1, 0)
    assert low <= found.mean().value <= high
    with np.load(run / "robustness.npz") as saved:
        assert saved["clean"].mean() == pytest.approx(clean.headline.value)
        assert saved["cells"].mean(1) == pytest.approx([cell.score for cell in found.cells])
    assert RunFolder.open(run).robustness.cells == found.cells
    assert not found.whole and "Only 4 of fifteen corruptions at severities 1, 5" in in_words(found)


def test_norms_that_adapt_leave_the_network_as_it_was(run: Path, few: str) -> None:
    plain = robustness(run, few, corrupt=["contrast"], severity=[5])
    adapted = robustness(run, few, corrupt=["contrast"], severity=[5], adapt=True)
    assert adapted.adapted and adapted.clean == plain.clean
    assert adapted.cells != plain.cells


def test_a_network_without_statistics_has_nothing_to_adapt(
    run: Path, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grouped = RunFolder.open(run).spec.with_style(norm=GroupNorm())
    monkeypatch.setattr(sys.modules["convsmith.jobs.robustness"], "trained", lambda *_: build(grouped))
    with pytest.raises(UserError, match="no norms with statistics to adapt"):
        robustness(run, few, corrupt=["contrast"], severity=[5], adapt=True)


def test_a_passport_holds_runs_against_each_other_on_the_same_pictures(run: Path, few: str, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "second"))
    made = passport([run, other], few)
    assert made.page == tmp_path / "passport.html" and made.reference == "first"
    assert all(sheet.robustness.whole for sheet in made.sheets)
    first, second = made.sheets
    assert first.against is None
    assert second.against is not None and (second.against.value, second.against.interval) == (0, (0, 0))
    page = made.page.read_text()
    assert str(tmp_path) not in page and "http" not in page
    assert all(known.name.replace("_", " ") in page for known in CORRUPTIONS) and first.words in page
    record = json.loads(made.page.with_suffix(".json").read_text())
    assert [row["corrupted"]["value"] for row in record["runs"]] == [
        sheet.robustness.mean().value for sheet in made.sheets
    ]


def test_what_is_known_of_a_run_is_not_found_again(run: Path, few: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["convsmith.jobs.passport"]
    whole = replace(robustness(run, few, corrupt=["fog"]), own=True)
    cells = tuple(Cell(known.name, level, 0.5) for known in CORRUPTIONS for level in range(1, 6))
    record_of_weights(RunFolder.open(run), "robustness.json", replace(whole, cells=cells).to_record())
    asked_for: list[object] = []

    def again(run: RunFolder, data: object, **_: object) -> Robustness:
        asked_for.append(data)
        return whole

    monkeypatch.setattr(module, "robustness", again)
    assert passport(run).sheets[0].robustness.cells == cells and not asked_for
    passport(run, few)
    record_of_weights(RunFolder.open(run), "robustness.json", whole.to_record())  # one corruption is not all
    passport(run)
    assert asked_for == [few, None]


def test_pictures_that_differ_are_not_compared(run: Path, few: str, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "second"))
    robustness(run, few, corrupt=["fog"], severity=[1])
    with np.load(few) as saved:
        np.savez(tmp_path / "fewer.npz", images=saved["images"][1:], labels=saved["labels"][1:])
    robustness(other, str(tmp_path / "fewer.npz"), corrupt=["fog"], severity=[1])
    known = [RunFolder.open(path).robustness.pictures for path in (run, other)]
    assert known[0] != known[1]


@pytest.mark.parametrize(
    "corrupt, severity, why",
    [
        (["fgo"], [1], "did you mean 'fog'"),
        (["fog"], [6], "severity 6 is none"),
        (["fog"], [], "severity none is none"),
    ],
)
def test_what_is_no_corruption_is_refused(run: Path, corrupt: list[str], severity: list[int], why: str) -> None:
    with pytest.raises(UserError, match=why):
        robustness(run, corrupt=corrupt, severity=severity)


def test_a_passport_wants_trained_runs_and_a_reference_among_them(run: Path) -> None:
    (run / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no model\.safetensors|not trained|no weights"):
        passport(run)
    with pytest.raises(UserError, match="a passport needs a run folder"):
        passport([])


def test_names_groups_and_commas_are_asked_for_in_any_order() -> None:
    assert asked([]) == asked(["all"]) == tuple(known.name for known in CORRUPTIONS)
    assert asked(["fog", "noise,snow"]) == ("gaussian_noise", "shot_noise", "impulse_noise", "snow", "fog")


def test_the_command_line_prints_a_table_and_a_paragraph(
    run: Path, few: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), few, "--corrupt", "fog", "--severity", "1", "3"]) == 0
    printed = capsys.readouterr().out
    assert "corruption" in printed and printed.splitlines()[1].startswith("fog") and "On 30 clean pictures" in printed
    assert main(["evaluate", str(run), few, "--corrupt", "fog", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["cells"]) == 5
    for alone in (["--severity", "1"], ["--seed", "1"], ["--corrupt", "fog", "--out", "tables"]):
        assert main(["evaluate", str(run), few, *alone]) == 2


def test_a_bootstrap_over_groups_is_wider_where_groups_are_alike() -> None:
    values = np.repeat(np.random.default_rng(0).integers(0, 2, 20), 20).astype(float)
    alone = bootstrapped(values)
    together = bootstrapped(values, np.repeat(np.arange(20), 20))
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])
    assert bootstrapped(values, np.arange(400)) == alone
