"""A detector's page: numbers with intervals, curves, kinds of mistakes, where the cost is, the worst pictures with outlines."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from convsmith.data import Move
from convsmith.evals.detections import Detected
from convsmith.evals.matching import Found
from convsmith.reports import render
from convsmith.reports.blocks import Costs, Drawing
from convsmith.reports.blocks import shown as section_of
from convsmith.reports.scenes import Outlined
from convsmith.scores import BLOCKS, Curves, ErrorKinds, Scenes, Scores, Thing
from detections import as_batch, random_scene, shown

NAMES = ("cat", "dog <b>", "owl", "eel")


def scored(n: int = 12) -> Scores:
    rng, move = np.random.default_rng(2), Move.crop_resize((0, 0, 160, 220), (80, 110))
    meter = Detected(NAMES)
    for k in range(n):
        there, own = random_scene(rng, k)
        own = Found(own.boxes, own.scores, own.labels)
        meter.add(shown([own], [move], masks=True), as_batch([there], [move], [k], rng))
    return meter.scores("val", lambda i: f"pictures/{i:04d}.png")


def make_run(folder: Path, scores: Scores) -> Path:
    folder.mkdir(parents=True)
    row = {"size": 32, "depth": 1, "width": 64, "params": 1000}
    files = {
        "spec.json": {"name": "resnet18", "input": {"resolution": 512}, "stages": []},
        "config.json": {
            "verb": "train", "started": "2026-11-27", "name": folder.name, "data": "digit-scenes", "recipe": {"epochs": 3},
            "cost": {"macs": 1_000_000, "params": 4000, "activations": 5}, "task": {"kind": "detect"},
            "stages": [
                row | {"name": "stage 1", "what": "basic", "macs": 100_000},
                row | {"name": "neck", "what": "fpn", "macs": 200_000},
                row | {"name": "head.rpn", "what": "3 anchors", "macs": 100_000},
                row | {"name": "head.box", "what": "boxes", "macs": 400_000, "times": 1000},
                row | {"name": "head.mask", "what": "masks", "macs": 200_000, "times": 100},
            ],
        },
        "data.json": {"name": "digit-scenes", "classes": list(NAMES), "train": 200, "val": scores.n},
        "scores.json": scores.to_record(),
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def scores() -> Scores:
    return scored()


def test_scores_survive_their_file(scores: Scores) -> None:
    assert Scores.from_record(json.loads(json.dumps(scores.to_record()))) == scores
    assert {type(block) for block in scores.blocks} < set(BLOCKS)
    assert not {"curves", "scenes"} & set(scores.short_record()) and "error_kinds" in scores.short_record()


def test_an_outline_of_a_file_holds_lines_alone(scores: Scores) -> None:
    """`scores.json` may come from elsewhere, and the path goes into the page."""
    record = json.loads(json.dumps(scores.to_record()))
    first = next(one for one in record["scenes"]["worst"] if one["true"])
    first["true"][0]["outline"] = 'M0 0"/><script>'
    with pytest.raises(ValueError, match="no path of lines"):
        Scores.from_record(record)


def test_the_page(tmp_path: Path, scores: Scores) -> None:
    page = render([make_run(tmp_path / "run", scores)]).replace("\N{NO-BREAK SPACE}", " ")
    for said in (
        "Average precision and recall", "Each class", "Precision and recall", "Kinds of mistakes", "The worst pictures",
        "trunk 10.0 %", "neck 20.0 %", "head.box 40.0 %", "counted for 1,000 and 100 of them", "boxes × 1,000", "dog &lt;b&gt;",
    ):  # fmt: skip
        assert said in page, said
    assert "dog <b>" not in page and ">-1<" not in page
    assert len(page) < 1_000_000


def test_drawings_are_pictures(scores: Scores) -> None:
    """Valid XML with a path for each outline; nothing but a caption where there is no room."""
    (scenes,) = (block for block in scores.blocks if isinstance(block, Scenes))
    made = section_of(scenes, "run", 500_000)
    assert isinstance(made, Outlined) and made.kept == len(scenes.worst)
    for one, scene in zip(made.pictures, scenes.worst, strict=True):
        tree = ElementTree.fromstring(one.drawing)
        assert len(tree.findall("g")) == len(scene.true) + len(scene.found)
        assert f"{scene.missed} of" in one.error
    without = section_of(scenes, "run", 0)
    assert isinstance(without, Outlined) and not any(one.drawing for one in without.pictures)
    odd = replace(scenes, worst=(replace(scenes.worst[0], true=(Thing(99, (0, 0, 5, 5)),)),))
    assert "class 99" in str(section_of(odd, "run", 500_000))


def test_curves_and_kinds_are_drawn(scores: Scores) -> None:
    curves, kinds = (next(block for block in scores.blocks if isinstance(block, kind)) for kind in (Curves, ErrorKinds))
    assert isinstance(curves, Curves) and isinstance(kinds, ErrorKinds) and [one.name for one in curves.curves] == [
        "mask, overlap 0.5", "mask, overlap 0.75", "box, overlap 0.5", "box, overlap 0.75",
    ]  # fmt: skip
    for values in (one.values for one in curves.curves):
        assert len(values) == 101 and all(a >= b for a, b in pairwise(values))
    drawing, costs = section_of(curves, "run", 0), section_of(kinds, "run", 0)
    assert isinstance(drawing, Drawing) and "recall, %" in drawing.figure
    assert isinstance(costs, Costs) and all(one.name in costs.figure for one in kinds.kinds) and costs.of == "masks"
