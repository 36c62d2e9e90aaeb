"""Every verb on networks that do something else than classify images: a generator, one that reads films, a detector.

The same questions as in tests/test_verbs_and_kinds.py. The runs are as training leaves them, with random weights.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convsmith as cs
from convsmith.arch import ArchSpec
from convsmith.codec import to_json
from convsmith.data.readers.clips import moving
from convsmith.data.readers.objects import scenes
from convsmith.jobs.options import Options
from convsmith.jobs.train.begin import describe, train_job
from convsmith.model import build
from convsmith.runs import RunFolder
from convsmith.watcher import Watcher
from convsmith.weights import write as write_weights
from kinds import Cell, refused, spec_of, words
from test_detect_task import small as detector
from test_video_training import tiny as clips


@pytest.fixture(scope="module", autouse=True)
def _few() -> Any:
    """Of the drawn data a little, and a judge that is not asked whether it is right."""
    with pytest.MonkeyPatch.context() as patched:
        for reader in (moving, scenes):
            patched.setattr(reader, "TRAINED", 16)
            patched.setattr(reader, "VALIDATED", 8)
        patched.setattr("convsmith.jobs.synthesis.judge._STEPS", 2)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, _few: None) -> Path:
    place = tmp_path_factory.mktemp("runs")
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8)).astype(np.uint8)
    np.savez(place / "images.npz", images=images, labels=np.arange(60) % 3)
    asked: dict[str, tuple[ArchSpec | str, str, Options]] = {
        "generator": ("biggan8", str(place / "images.npz"), Options(task="synthesise")),
        "film": (clips(), "moving-digits", Options()),
        "detector": (detector(), "digit-scenes", Options()),
    }
    for name, (model, data, options) in asked.items():
        job = train_job(model, data, 64 if name == "detector" else None, options, Watcher())
        run = RunFolder.create(place, name)
        describe(run, job)
        write_weights(run.file("model.safetensors"), build(job.spec, seed=0).state_dict())
    return place


@pytest.fixture
def cell(
    request: pytest.FixtureRequest, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Cell:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs / request.param, tmp_path / request.param)
    return Cell(request.param, request.param, tmp_path, capsys, to=TO[request.param])


TO = {"generator": "2M-macs", "film": "1M-macs", "detector": "60M-macs"}


# ---- the right answers -----------------------------------------------------------------------------------------------


def shown(cell: Cell) -> None:
    assert cell.run("show", "{}")["cost"]["macs"] == cs.cost(spec_of(cell)).macs


def scaled(cell: Cell) -> None:
    found, base = cell.run(*words("scale", cell)), spec_of(cell)
    assert 0 < found["cost"]["macs"] <= int(cell.to.removesuffix("M-macs")) * 10**6 < cs.cost(base).macs
    own = json.loads(to_json(base))
    assert found["spec"]["head"]["kind"] == base.head.kind and found["spec"]["input"] == own["input"]


def measured(cell: Cell) -> None:
    row = cell.run(*words("measure", cell))["rows"][0]
    assert row["n"] == 2 and row["median_ms"] > 0


def diagnosed(cell: Cell) -> None:
    points = cell.run(*words("diagnose", cell))["points"]
    assert points and all(point["variance"] > 0 for point in points)


def converted(cell: Cell) -> None:
    assert cell.run(*words("convert", cell))["replaced"] > 0


def evaluated(cell: Cell) -> None:
    found = cell.run("evaluate", "{}")
    assert (
        found["metrics"][0]["name"]
        == {"generator": "kernel_distance", "film": "top1", "detector": "mask_ap"}[cell.kind]
    )
    assert found["n"] == (12 if cell.kind == "generator" else 8)


def reported(cell: Cell) -> None:
    found = cell.run("report", "{}")
    assert found["bytes"] == len((cell.place / cell.thing / "report.html").read_bytes())


RIGHT: dict[str, Callable[[Cell], None]] = {
    "show": shown,
    "scale": scaled,
    "measure": measured,
    "diagnose": diagnosed,
    "convert": converted,
    "evaluate": evaluated,
    "report": reported,
}

# ---- the table -------------------------------------------------------------------------------------------------------

YES = "yes"  # the right answer, which `RIGHT` knows; all else is what the refusal says
NO_CLOCK = "there is no calibration for"
NO_SEARCH = "is a training run and not a search; it has no children, and is exported without --child"
NO_FIT = "does not fit tiny: missing st"
NO_LABELS = "gives no one label an image: pseudo-labels are a classifier's"
MAKES = "biggan8 makes images and tells nothing of them: give --task synthesise"
CLIPS = "reads clips of 4 frames, and digits has images, which do not move"
FINDS = "and the data has labels for whole images: give a classifier, or the data of task 'detect'"
TABLE = {
    "show": {"generator": YES, "film": YES, "detector": YES},
    "scale": {"generator": YES, "film": YES, "detector": YES},
    "estimate": dict.fromkeys(TO, NO_CLOCK),
    "train": {"generator": MAKES, "film": CLIPS, "detector": FINDS},
    "design --base": {"generator": MAKES, "film": CLIPS, "detector": FINDS},
    "measure": {"generator": YES, "film": YES, "detector": YES},
    "diagnose": {"generator": "reads more than images: its signal is not traced", "film": YES, "detector": YES},
    "convert": {
        "generator": "reads more than images, and what a change of its norms does",
        "film": YES,
        "detector": YES,
    },
    "train --weights": dict.fromkeys(TO, NO_FIT),
    "evaluate": {"generator": YES, "film": YES, "detector": YES},
    "pseudo-label": {
        "generator": NO_LABELS,
        "film": "film reads clips: pseudo-labels are of images",
        "detector": NO_LABELS,
    },
    "export --int8": {"generator": "makes images: there is no file in eight bits of a generator yet"},
    "export --child": dict.fromkeys(TO, NO_SEARCH),
    "report": {"generator": YES, "film": YES, "detector": YES},
}
# Files take seconds each to export: tests/test_synthesise.py, test_clips_export.py and test_detect_task.py make them, and resume.
CELLS = [(verb, kind) for verb, row in TABLE.items() for kind in row]


@pytest.mark.parametrize(
    ("verb", "cell"), CELLS, indirect=["cell"], ids=[f"{verb} {kind}".replace(" ", "_") for verb, kind in CELLS]
)
def test_a_verb_does_the_right_thing_or_says_in_a_line_what_would_do(verb: str, cell: Cell) -> None:
    said = TABLE[verb][cell.kind]
    if said is YES:
        RIGHT[verb](cell)
        return
    refused(verb, cell, said)
