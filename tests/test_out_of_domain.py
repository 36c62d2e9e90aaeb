"""A run of points out of its domain and under corruptions, and its files as DeepLabCut has them: with a network that sees dots."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convsmith import UserError, create
from convsmith.cli import main
from convsmith.data import Split
from convsmith.data.inputs import Arrays
from convsmith.data.targets import Body, Joints
from convsmith.evals import PointErrors
from convsmith.jobs.evaluate import Part
from convsmith.jobs.ood import out_of_domain
from convsmith.jobs.passport import passport
from convsmith.jobs.points import write_deeplabcut
from convsmith.jobs.robustness import robustness
from convsmith.runs import Domains, Robustness, RunFolder

TRAINED = Path(__file__).parent / "folders-0.1/trained"
BODY = Body(("red", "green"), bones=((0, 1),), ruler=(0, 1))
MODULES = tuple(f"convsmith.jobs.{name}" for name in ("ood", "robustness", "points"))


class Dots(nn.Module):
    """Finds a red and a green dot: the brightest cell, to whose middle nothing is added."""

    def __init__(self, spec: object) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, images: Tensor) -> Tensor:
        own = images[:, :2] - 0.5 * (images[:, [1, 0]] + images[:, [2, 2]])
        scores = F.avg_pool2d(own, 8)
        return torch.cat((scores, torch.zeros_like(scores).repeat(1, 2, 1, 1)), dim=1)


class Task:
    """As much of a task as an evaluation asks for."""

    def meter(self, names: tuple[str, ...], *, pictures: int = 24) -> PointErrors:
        return PointErrors(BODY, pictures=pictures)


def pictures(individuals: list[str], *, each: int = 6, labels_off: float = 0.0, seed: int = 0) -> Split:
    """Dots on grey, `each` pictures an individual; the labels are beside the dots by so much."""
    rng = np.random.default_rng(seed)
    names = [name for name in individuals for _ in range(each)]
    images = np.full((len(names), 64, 96, 3), 90, np.uint8)
    truth = np.empty((len(names), 2, 2))
    for i, _ in enumerate(names):
        cells = np.stack((rng.choice(12, 2, replace=False), rng.integers(0, 8, 2)), axis=1)
        truth[i] = 8 * cells + 4.0
        for k, (column, row) in enumerate(cells):
            images[i, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = [(104, 84, 84), (84, 104, 84)][k]
    return Split(
        Arrays(images), Joints(truth + labels_off, BODY, np.full(len(names), 20.0), tuple(names)), tuple(names)
    )


def read(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


@dataclass(frozen=True)
class Parts:
    """The parts of a run's data."""

    train: Split
    val: Split
    test: Split


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run whose network sees dots; its test part is of other individuals, and labelled three pixels off."""
    folder = Path(shutil.copytree(TRAINED, tmp_path / "dots"))
    data = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(
        json.dumps(data | {"classes": list(BODY.names), "test": 12, "individuals": [2, 2]})
    )
    plain = create("resnet18").spec
    image = replace(plain.input, resolution=64, width=96, mean=(0.0,) * 3, std=(1.0,) * 3)
    spec = replace(plain, input=image)
    known = Parts(
        train=pictures(["a", "b"], seed=1),
        val=pictures(["a", "b"], seed=2),
        test=pictures(["c", "d"], labels_off=3.0, seed=3),
    )

    def part(run: RunFolder, data: object, *, split: str | None = None, **_: object) -> Part:
        chosen = split or "val"
        return Part(getattr(known, chosen), chosen, "" if chosen != "test" else "dots/test", ())

    monkeypatch.setattr(RunFolder, "spec", property(lambda _: spec))
    for name in MODULES:
        for what, new in (("part_to_score", part), ("trained", lambda *_: Dots(spec)), ("task_of", lambda _: Task())):
            monkeypatch.setattr(sys.modules[name], what, new)
    return folder


def test_both_parts_stand_side_by_side_with_their_ratio(run: Path, tmp_path: Path) -> None:
    found = out_of_domain(run, out=tmp_path / "tables")
    assert found.within["pck"] == 1 and found.within["pixels"] < 1e-6
    off = 3 * np.sqrt(2)
    assert found.beyond["pixels"] == pytest.approx(off) and found.beyond["error"] == pytest.approx(off / 20)
    assert found.beyond.of == "dots/test" and found.sentence.startswith("PCK@0.3 is 100.00% within the domain and ")
    assert [one.name for one, _ in found.pairs] == ["pck", "error", "pixels", "loss"]
    assert RunFolder.open(run).domains == Domains.from_record(found.to_record())
    rows = read(tmp_path / "tables/ood.csv")
    assert rows[0][:3] == ["metric", "unit", "within"] and [row[0] for row in rows[1:]] == [
        "pck",
        "error",
        "pixels",
        "loss",
    ]
    assert {path.name for path in (tmp_path / "tables/beyond").iterdir()} == {"body-parts.csv", "individuals.csv"}


def test_individuals_in_both_parts_are_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same = pictures(["a", "b"])
    monkeypatch.setattr(sys.modules["convsmith.jobs.ood"], "part_to_score", lambda *_, **__: Part(same, "val", "", ()))
    assert "2 of 2 individuals stand in both parts, a first" in out_of_domain(run).notes[0]


def test_a_run_without_a_test_part_needs_data(run: Path) -> None:
    data = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps(data | {"test": 0}))
    with pytest.raises(UserError, match="no test part to be out of its domain: give pictures of other individuals"):
        out_of_domain(run)


def test_corruptions_leave_the_labels_where_they_are_and_keep_the_worst_poses(run: Path) -> None:
    """Oracle 10's last law; the intervals are of individuals."""
    before = pictures(["a", "b"], seed=2).targets.to_bytes()
    found = robustness(run, corrupt=["gaussian_noise", "contrast"], severity=[1, 5])
    assert found.clean.value == 1 and found.cell("gaussian_noise", 5).value < 1
    assert found.individuals == 2 and found.bones == ((0, 1),) and found.classes == BODY.names
    assert found.poses[0].corruption == "gaussian_noise" and found.poses[0].pose.error > 0.3
    assert Robustness.from_record(json.loads(json.dumps(found.to_record()))) == found
    assert pictures(["a", "b"], seed=2).targets.to_bytes() == before
    with np.load(run / "robustness.npz") as saved:
        assert saved["cells"].mean(1) == pytest.approx([cell.score for cell in found.cells])
        assert saved["owners"].tolist() == [0] * 6 + [1] * 6


def test_a_passport_has_clean_and_out_of_domain_and_each_group_against_the_reference(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    made = passport([run, other])
    first, second = made.sheets
    assert first.domains is not None and first.domains.beyond["pixels"] == pytest.approx(3 * np.sqrt(2))
    assert dict(second.by_group).keys() == set(second.robustness.groups) and not first.by_group
    assert all(one.value == 0 for _, one in second.by_group)
    assert "Clean pictures from out of its domain: PCK@0.3 is 100.00% within" in first.words
    page = made.page.read_text()
    assert "out of domain" in page and "The poses that corruption spoilt most" in page and "the 2 individuals" in page
    assert page.count("<svg") > len(first.robustness.poses) and "http" not in page.replace("http://www.w3.org", "")
    row = json.loads(made.page.with_suffix(".json").read_text())["runs"][1]
    assert row["against_by_group"]["noise"]["value"] == 0 and "poses" not in row["out_of_domain"]["beyond"]


def test_less_is_better_is_said_in_the_words(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["convsmith.jobs.robustness"]
    clean = module.part_to_score(RunFolder.open(run), None)
    joints = clean.split.targets
    bare = replace(clean.split, targets=replace(joints, xy=joints.xy + 1, scales=joints.scales * np.nan))
    monkeypatch.setattr(module, "part_to_score", lambda *_, **__: replace(clean, split=bare))
    found = robustness(run, corrupt=["noise", "contrast"], severity=[1, 5])
    assert found.clean.name == "pixels" and not found.clean.more_is_better and found.posed.unit == "px"
    from convsmith.reports import in_words

    words = in_words(found)
    assert "times what it is on clean ones" in words and words.index("Noise costs most (") > 0


def test_deeplabcuts_files_hold_every_picture_and_count_test_as_all_that_was_not_trained_on(
    run: Path, tmp_path: Path
) -> None:
    written = {path.name: path for path in write_deeplabcut(run, tmp_path / "dlc")}
    assert {"convsmith_dots.csv", "convsmith_dots-results.csv", "convsmith_dots-keypoint-results.csv"} <= written.keys()
    rows = read(written["convsmith_dots.csv"])
    assert len(rows) == 3 + 36 and rows[1][1:4] == ["red"] * 3
    head, values = read(written["convsmith_dots-results.csv"])
    found = dict(zip(head, values, strict=True))
    assert (found["train rmse"], found["test rmse"]) == ("0.0", str(round(3 * np.sqrt(2) / 2, 2)))
    assert found["%Training dataset"] == "0.33"


@pytest.mark.parametrize("verb", ["--ood", "--deeplabcut"])
def test_the_command_line_tells_and_writes(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    more = [str(tmp_path / "dlc")] if verb == "--deeplabcut" else []
    assert main(["evaluate", str(run), verb, *more]) == 0
    told = capsys.readouterr().out
    assert ("out of domain" in told and "ratio" in told) if verb == "--ood" else "-results.csv" in told
    assert main(["evaluate", str(run), verb, *more, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["ratio"]["pck"] == 1 if verb == "--ood" else len(record["files"]) >= 4
    assert main(["evaluate", str(run), "--corrupt", verb, *more]) != 0
    assert "one at a time" in capsys.readouterr().err


def test_a_classifier_finds_no_points(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from convsmith.tasks import Classify

    make: Callable[[object], Classify] = lambda _: Classify()  # noqa: E731
    monkeypatch.setattr(sys.modules["convsmith.jobs.points"], "task_of", make)
    with pytest.raises(UserError, match="DeepLabCut's files are of points in pictures"):
        write_deeplabcut(run, tmp_path / "dlc")
