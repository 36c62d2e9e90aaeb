"""Images of any number of classes, from a CSV file to a page: the verbs ask no task."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import convsmith as cs
from convsmith.cli import main
from convsmith.data import load_data
from convsmith.tasks import Classify, MultiLabel, task_for

HERE = Path(__file__).parent
TINY = HERE / "folders-0.1" / "tiny.json"
CORNERS = ("ne", "nw", "se", "sw")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety-six pictures whose bright corners are their classes: none to four of them, and the table that says so."""
    folder = tmp_path_factory.mktemp("corners")
    rng, rows = np.random.default_rng(0), ["file," + ",".join(CORNERS)]
    for i in range(96):
        bright = rng.random(4) < (0.5, 0.5, 0.5, 0.2)
        pixels = rng.integers(0, 60, (12, 12, 3))
        for on, (top, left) in zip(bright, ((0, 6), (0, 0), (6, 6), (6, 0)), strict=True):
            pixels[top : top + 6, left : left + 6] += 180 * on
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
        rows.append(f"{i}.png," + ",".join(str(int(one)) for one in bright))
    path = folder / "labels.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> cs.Run:
    parent = tmp_path_factory.mktemp("runs")
    how = ("batch=16", "rate=0.3", "average=0", "augment.crop=[1,1]", "augment.mirror=0")
    return cs.train(TINY, table, epochs=12, options=cs.Options(settings=how, parent=parent, name="corners"))


def test_a_run_of_many_labels_is_trained_scored_exported_and_reported(run: cs.Run) -> None:
    assert run.config.task == {"kind": "multi-label", "weights": []}
    scores = run.scores
    assert scores.headline.name == "map" and scores["map"] > 0.8, "corners can be told from one another"
    low, high = scores.headline.interval or (1, 0)
    assert low <= scores["map"] <= high
    assert run.epochs[-1].values.keys() >= {"train_right", "val_map", "val_loss"}
    page = run.report.read_text()
    assert "mean average precision" in page.lower() and "Average precision of each class" in page
    assert run.evaluate()["map"] == pytest.approx(scores["map"], abs=1e-9)


def test_predictions_of_many_labels_are_each_by_itself(run: cs.Run, table: Path) -> None:
    whole = sorted(table.parent.glob("*.png"))[:8]
    found = run.predict(whole, top=4)
    sums = [sum(share for _, share in one.top) for one in found]
    assert max(sums) > 1.2 and all(0 <= share <= 1 for one in found for _, share in one.top), (
        "these are no shares of one"
    )
    exported = cs.predict(run.file("model.onnx"), whole, top=4)
    for one, other in zip(found, exported, strict=True):
        assert dict(one.top) == pytest.approx(dict(other.top), abs=1e-3)


def test_the_command_line_speaks_of_the_task_s_own_metrics(run: cs.Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert "mean average precision" in said and "top-1" not in said
    assert main(["evaluate", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"][0]["name"] == "map"


def test_a_search_goes_by_the_task_s_headline(table: Path, tmp_path: Path) -> None:
    space = HERE / "folders-0.1" / "small.json"
    how = cs.SearchOptions(space=str(space), rounds=1, per_round=2, scorers=1)
    options = cs.Options(settings=("batch=16",), parent=tmp_path, name="found")
    found = cs.search(table, to=["200k-macs"], epochs=1, options=options, how=how)
    (child,) = found.children
    assert found.front.winners[0].score.name == child.scores.headline.name == "map"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("1,2", "--class-weights has 2 numbers for 4 classes"),
        ("1,2,3,x", "--class-weights is '1,2,3,x'; give balanced, or a number for each class"),
        ("1,2,3,-4", "weights of classes are above 0"),
    ],
)
def test_wrong_weights_of_classes_are_refused(table: Path, given: str, says: str) -> None:
    with pytest.raises(cs.UserError, match=says):
        task_for(load_data(table), given)


def test_balanced_weights_give_every_class_the_same_say(table: Path) -> None:
    digits = load_data("digits")
    task = task_for(digits, "balanced")
    assert isinstance(task, Classify)
    counts = digits.counts[0]
    says = counts * np.array(task.weights)
    assert np.allclose(says, says[0], rtol=1e-4) and np.isclose(
        (counts * task.weights).sum(), len(digits.train), rtol=1e-4
    )
    many = task_for(load_data(table), "balanced")
    assert isinstance(many, MultiLabel) and many.weights[3] == max(many.weights), "the rarest corner weighs most"
    rare = load_data(table).counts[0] / len(load_data(table).train)
    assert torch.allclose(torch.tensor(many.weights), torch.tensor((1 - rare) / rare).float(), rtol=1e-4)
