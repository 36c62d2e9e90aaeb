"""A pose run's page: numbers, body parts, individuals, and the worst pictures with their points drawn over them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from convsmith.data import Split, eval_batches
from convsmith.data.inputs import Arrays
from convsmith.data.targets import Body, Joints
from convsmith.evals import PointErrors
from convsmith.reports import RunFacts, render, render_index, view
from convsmith.reports.blocks import shown
from convsmith.reports.posed import Posed
from convsmith.scores import Poses, Scores

BODY = Body(("nose", "eye", "hoof", "tail"), bones=((0, 1), (1, 2), (2, 3)), ruler=(0, 1))


def pictures(n: int = 12, seed: int = 0) -> Split:
    """Grey hills with four points on them, of three individuals; a quarter of the labels is missing."""
    rng = np.random.default_rng(seed)
    down, along = np.mgrid[:112, :192]
    images = np.empty((n, 112, 192, 3), np.uint8)
    for i in range(n):
        hill = 60 + 20 * np.sin(along / (18 + i) + i)
        images[i] = np.where(down[..., None] > hill[..., None], (110, 140, 90), (190, 205, 225))
    points = np.array([[40.0, 50], [56, 44], [110, 96], [150, 52]]) + rng.normal(0, 6, (n, 4, 2))
    labelled = rng.random((n, 4, 1)) > 0.25
    truth = np.where(labelled, points, np.nan)
    truth[:3, :2] = points[:3, :2]
    individuals = [f"animal {i % 3}" for i in range(n)]
    return Split(Arrays(images), Joints.of(truth, BODY, individuals), tuple(individuals))


def scored(split: Split, off: float = 6.0, most: int = 24) -> Scores:
    rng = np.random.default_rng(4)
    meter = PointErrors(BODY, pictures=most)
    assert isinstance(split.targets, Joints)
    for batch in eval_batches(split, sides=(112, 192), batch=5):
        truth = np.nan_to_num(batch.answers.shown.double().numpy(), nan=60.0)
        points = truth + rng.normal(0, off, truth.shape)
        meter.add((torch.from_numpy(points), torch.from_numpy(rng.uniform(0.3, 1, truth.shape[:2]))), batch)
    return meter.scores("val", lambda i: f"frames/{i:04d}.png")


def make_run(folder: Path, scores: Scores) -> Path:
    folder.mkdir(parents=True)
    files = {
        "spec.json": {"name": "resnet18", "input": {"resolution": 112, "width": 192}, "stages": []},
        "config.json": {
            "verb": "train", "started": "2026-11-27", "name": folder.name, "data": "quad30", "recipe": {"epochs": 3},
            "cost": {"macs": 210_000_000, "params": 9_000_000, "activations": 5}, "task": {"kind": "pose"},
        },
        "data.json": {"name": "quad30", "classes": list(BODY.names), "train": 200, "val": 200},
        "scores.json": scores.to_record(),
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    epochs = [
        {
            "event": "epoch",
            "epoch": k,
            "train_loss": 1 / k,
            "val_pck": 0.3 * k,
            "val_pixels": 9 / k,
            "val_loss": 0.9 / k,
        }
        for k in (1, 2, 3)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    return folder


@pytest.fixture(scope="module")
def scores() -> Scores:
    return scored(pictures())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, scores: Scores) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "quad", scores)


def test_the_page_says_all_that_the_evaluation_does(run: Path, scores: Scores) -> None:
    page = render([run])
    for words in (
        "PCK@0.3",
        "Normalised error",
        "Pixel error",
        "Each body part",
        "Each individual",
        "The worst pictures",
    ):
        assert words in page
    assert all(name in page for name in (*BODY.names, "animal 0", "animal 2", "frames/0003.png"))
    assert "bootstrap&#39;s over 3 individuals" in page and "3 × 112 × 192" in page
    assert "4 body parts, 200 training" in page and "http" not in page


def test_cards_and_curves_are_of_the_metrics_there_are(run: Path) -> None:
    facts = RunFacts.read(run)
    assert [card.name for card in view.cards(facts)][:3] == ["PCK@0.3", "Normalised error", "Pixel error"]
    page = render([run])
    assert page.count("best val") >= 3, "loss, PCK and pixels by epoch"
    quality = view.quality(facts)
    assert quality is not None and "lopsided" not in " ".join(quality.details)


def test_points_are_drawn_as_deeplabcut_draws_them(scores: Scores) -> None:
    """A plus where one is labelled, a dot for a sure prediction, a cross for an unsure one."""
    poses = next(block for block in scores.blocks if isinstance(block, Poses))
    found = shown(poses, "k", 10**6)
    assert isinstance(found, Posed) and len(found.pictures) == len(poses.worst) == 12
    for pose, picture in zip(poses.worst, found.pictures, strict=True):
        drawing = ElementTree.fromstring(picture.drawing)
        titles = [one.text or "" for one in drawing.iter("title")]
        labelled = sum(at is not None for at in pose.true)
        sure = sum(one >= 0.6 for one in pose.likelihood)
        assert sum("labelled" in one for one in titles) == labelled
        assert len(list(drawing.iter("circle"))) == sure and len(titles) == labelled + 4
        assert drawing.attrib["viewBox"] == "-0.5 -0.5 192 112"
        assert picture.error.endswith("of its scale off")


def test_names_are_text_and_a_picture_is_a_data_uri_or_nothing(scores: Scores) -> None:
    @dataclass(frozen=True)
    class Case:
        image: str
        drawn: bool

    poses = next(block for block in scores.blocks if isinstance(block, Poses))
    nasty = replace(poses, names=('<b>"', "a&b", "</svg>", "x"))
    picture = shown(nasty, "k", 10**6).pictures[0]  # type: ignore[union-attr]
    ElementTree.fromstring(picture.drawing)  # type: ignore[union-attr]
    for case in (
        Case("http://x/y.png", False),
        Case('data:image/png;base64,A" onload="x', False),
        Case("data:image/png;base64,AAAA", True),
    ):
        one = replace(poses, worst=(replace(poses.worst[0], image=case.image),))
        assert bool(shown(one, "k", 10**6).pictures[0].drawing) == case.drawn  # type: ignore[union-attr]
    assert not any(one.drawing for one in shown(poses, "k", 10).pictures)  # type: ignore[union-attr]


def test_an_index_and_a_comparison_name_the_headline(run: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", scored(pictures(), off=2))
    folder = tmp_path / "all"
    make_run(folder / "one", scored(pictures()))
    page = render([run, other])
    assert "PCK@0.3" in page and "2 runs compared" in page and "against MACs" in page
    assert "PCK@0.3" in render_index(folder)


def test_the_terminal_says_the_headline_first_and_what_it_rests_on(scores: Scores) -> None:
    lines = scores.lines()
    assert lines[0].startswith("PCK@0.3 ") and "95 %" in lines[0] and lines[2].startswith("pixel error ")
    assert lines[-1].startswith(f"{int(dict(scores.settings)['points'])} labelled points; the intervals are")
