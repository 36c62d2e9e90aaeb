"""Every verb on every kind of thing: the right answer, or one line that names what was given and what would do.

`TABLE` is the whole of it. The folders are copies of those that version 0.1 wrote (tests/folders-0.1), so that nothing has to be
trained first; a live network and one of another package are made here. Networks that do other things than classify images have
a table of their own, tests/test_verbs_and_tasks.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import convsmith as cs
from kinds import FOLDERS, GREY, Bare, Cell, Notes, answers, network_of, python, refused, spec_of, words

# ---- the things ------------------------------------------------------------------------------------------------------

# What a thing is called in the table: the folder or file of `FOLDERS` that has to be copied for it, and what names it there.
THINGS = {
    "begun": ("begun", "begun"),  # a training, stopped in its fifth epoch
    "finished": ("trained", "trained"),
    "search begun": ("search-begun", "search-begun"),
    "search": ("search", "search"),
    "child": ("search", "search/children/200k-macs"),
    "study": ("ladder", "ladder"),
    "spec": ("tiny.json", "tiny.json"),
    "live": ("", "live"),  # built from a grey spec of 12 px
    "bare": ("", "bare"),  # a module without a spec
    "onnx": ("trained", "trained/model.onnx"),
    "timm": ("", "timm:test_resnet"),
    "tv": ("", "tv:resnet18"),
    "nothing": ("", "nothing-there"),
    "folder": ("", "plain"),
}


@pytest.fixture
def cell(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Cell:
    kind = request.param
    copied, name = THINGS[kind]
    if kind == "timm":
        pytest.importorskip("timm")
    monkeypatch.chdir(tmp_path)  # all that is written by default is written here
    (tmp_path / "plain").mkdir()
    if copied:
        copy = shutil.copytree if (FOLDERS / copied).is_dir() else shutil.copy
        copy(FOLDERS / copied, tmp_path / copied)
    live = {"live": lambda: cs.build(GREY, seed=0), "bare": Bare}
    return Cell(kind, live[kind]() if kind in live else name, tmp_path, capsys)


# ---- the right answers -----------------------------------------------------------------------------------------------


def shown(cell: Cell) -> None:
    found = cell.run("show", "{}")
    assert found["cost"]["macs"] == cs.cost(spec_of(cell)).macs


def scaled(cell: Cell) -> None:
    found = cell.run(*words("scale", cell))
    base = spec_of(cell)
    assert 100_000 < found["cost"]["macs"] <= 300_000
    assert found["spec"]["head"]["classes"] == base.head.classes and len(found["spec"]["stages"]) == len(base.stages)


def measured(cell: Cell) -> None:
    if cell.spoken:
        row = cell.run(*words("measure", cell))["rows"][0]
        assert row["n"] == 2 and row["median_ms"] > 0
        assert ("random weights" in cell.notes) == (cell.kind == "begun"), "a run's lack of weights is said"
        return
    notes = Notes()
    row = python("measure", cell, notes).rows[0]
    assert row.n == 2 and row.median_ms > 0
    # A grey network of 12 px takes no other images; that a module without a spec is shown 224 px is said.
    assert ("3x224x224" in " ".join(notes.said)) == (cell.kind == "bare")


def diagnosed(cell: Cell) -> None:
    if cell.spoken:
        found = cell.run(*words("diagnose", cell))
        assert all(point["variance"] > 0 for point in found["points"]) and found["points"]
        assert ("own statistics" in found["statistics"]) == (cell.kind in ("finished", "child")), "of trained weights"
        return
    notes = Notes()
    trace = python("diagnose", cell, notes).trace
    assert trace.source.endswith("4 of 1x12x12" if cell.kind == "live" else "4 of 3x224x224")
    assert bool(notes.said) == (cell.kind == "bare")


def converted(cell: Cell) -> None:
    if cell.spoken:
        found = cell.run(*words("convert", cell))
        assert (found["spec"] is not None) == (cell.kind == "spec"), "a spec becomes a spec"
        assert found["spec"] or found["replaced"] > 0
        return
    notes = Notes()
    made = python("convert", cell, notes)
    assert made.replaced > 0 and made.input_shape == ((1, 12, 12) if cell.kind == "live" else (3, 224, 224))
    assert bool(notes.said) == (cell.kind == "bare")


def rehearsed(cell: Cell) -> None:
    found = cell.run(*words("train", cell))
    assert found["cost"]["macs"] == cs.cost(spec_of(cell).with_classes(10)).macs
    assert ("--weights" in cell.notes) == (cell.kind in ("finished", "child")), "weights that are left behind are named"
    assert found["train_images"] + found["val_images"] == 1797


def begun_with(cell: Cell) -> None:
    cell.run(*words("train --weights", cell))
    spec = cs.spec("tiny.json")
    made, own = cs.create(spec, weights=cell.thing).state_dict(), network_of(cell).state_dict()
    assert all(torch.equal(made[key], own[key]) for key in own)


def designed(cell: Cell) -> None:
    found = cell.run(*words("design --base", cell))
    assert 100_000 < found["cost"]["macs"] <= 300_000 and found["name"].startswith(spec_of(cell).name)


def evaluated(cell: Cell) -> None:
    found = cell.run(*words("evaluate", cell))
    before = json.loads((cell.place / cell.thing / "scores.json").read_text())
    assert found["n"] == before["n"] == 359 and abs(found["top1"] - before["top1"]) < 0.01


def exported(cell: Cell) -> None:
    """What is shipped of a run holds what it was trained to; that others hold random weights is said."""
    if not cell.spoken:
        notes = Notes()
        file = python("export", cell, notes).path
        shape = (2, 1, 12, 12) if cell.kind == "live" else (2, 3, 224, 224)
        images = torch.randn(shape)
        np.testing.assert_allclose(answers(file, images), cell.thing.eval()(images).detach(), rtol=1e-3, atol=1e-4)
        assert not any("random weights" in note for note in notes.said)
        return
    found = cell.run(*words("export", cell))
    if cell.kind in ("finished", "child"):
        file, images = cell.place / cell.thing / "model.onnx", torch.randn(4, 3, *2 * (spec_of(cell).input.resolution,))
        with torch.no_grad():
            np.testing.assert_allclose(answers(file, images), network_of(cell)(images), rtol=1e-3, atol=1e-4)
        assert found["n"] == 16 and found["relative_difference"] <= found["tolerance"], "on images of the data"
        assert "random" not in cell.notes
        return
    assert (cell.place / found["file"]).stat().st_size == found["bytes"]
    assert "random weights" in cell.notes


def shrunk(cell: Cell) -> None:
    found = cell.run(*words("export --int8", cell))
    assert (cell.place / cell.thing / "model.int8.onnx").stat().st_size == found["bytes"]
    before = json.loads((cell.place / cell.thing / "scores.json").read_text())
    assert abs(found["float_top1"] - before["top1"]) < 0.01 and found["int8_convolutions"] > 0


def child_exported(cell: Cell) -> None:
    found = cell.run(*words("export --child", cell))
    front = json.loads((cell.place / "search/front.json").read_text())["front"][0]
    assert (cell.place / "search/child-1.onnx").stat().st_size == found["bytes"] > 4 * front["params"] * 0.9
    assert found["n"] == 16


def reported(cell: Cell) -> None:
    found = cell.run(*words("report", cell))
    page = (cell.place / cell.thing / "report.html").read_text()
    assert found["report"] == str(Path(cell.thing) / "report.html") and found["bytes"] == len(page.encode())
    assert ("Handed over" in page) == (cell.kind == "search"), "a search has a page of its own"
    if cell.kind == "begun":
        assert "Training" in page and "top-1" in page


def resumed(cell: Cell) -> None:
    """Of what is finished; tests/test_old_folders.py ends what was begun, and asks more of it than stands here."""
    folder = cell.place / cell.thing
    if cell.kind == "search":
        found = cell.run("resume", "{}")
        assert [row["budget"] for row in found["children"]] == ["400k-macs", "200k-macs"]
        assert all((Path(row["folder"]) / "model.onnx").is_file() for row in found["children"])
        assert "Handed over" in (folder / "report.html").read_text()
        return
    before = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    cell.run("resume", "{}")
    assert (folder / "model.safetensors").read_bytes() == before["model.safetensors"]
    images = torch.randn(4, 3, *2 * (spec_of(cell).input.resolution,))
    with torch.no_grad():
        np.testing.assert_allclose(
            answers(folder / "model.onnx", images), network_of(cell)(images), rtol=1e-3, atol=1e-4
        )


def labelled(cell: Cell) -> None:
    found = cell.run(*words("pseudo-label", cell))
    assert found["kept"] == found["looked"] == 100
    with np.load(FOLDERS / "unlabelled.npz") as stored:
        assert len(stored["images"]) == 100


RIGHT: dict[str, Callable[[Cell], None]] = {
    "show": shown,
    "scale": scaled,
    "measure": measured,
    "estimate": lambda cell: None,
    "diagnose": diagnosed,
    "convert": converted,
    "train": rehearsed,
    "train --weights": begun_with,
    "design --base": designed,
    "evaluate": evaluated,
    "export": exported,
    "export --int8": shrunk,
    "export --child": child_exported,
    "report": reported,
    "resume": resumed,
    "pseudo-label": labelled,
}

# ---- the table -------------------------------------------------------------------------------------------------------

YES = "yes"  # the right answer, which `RIGHT` knows; all else is what the refusal says
NO_RUN = "a run is the folder that `convsmith train`, `design` or `search` makes"
NO_WEIGHTS = "has no weights yet (model.safetensors): `convsmith resume begun` goes on with it"
TO_MAKE = "search-begun is a search and not one network: its children are networks, and `convsmith resume search-begun`"
CHILDREN = "search is a search and not one network: its networks are search/children/200k-macs"
STUDY = "ladder is a study of `convsmith ladder` and not a run folder: its page is ladder/study.html"
GIVE_SPEC = "tiny is a live network, and a spec is needed here: give its `.spec`"
NO_SPEC = "has no spec: it was not made here. It can be measured, not scaled or trained"
UNKNOWN = "unknown model 'nothing-there'"
NO_CLOCK = "there is no calibration for"
NOT_A_RUN = "is not a run: train it first"
LIVE_RUN = "a run folder is needed here; got a live"
NO_SEARCH = "and not a search; it has no children, and is exported without --child"
NO_MAPS = "model.onnx is an ONNX file, whose inner maps cannot be seen; give the network it came from"
NO_MODULES = "model.onnx is an ONNX file, which holds no modules to replace; give the network it came from"
NOT_BUILT = "model.onnx is an ONNX file; a network that can be built is needed here"

# fmt: off
TABLE = {
    # what takes a network's spec
    "show":            {"begun": YES, "finished": YES, "child": YES, "spec": YES,
                        "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY, "live": GIVE_SPEC, "bare": NO_SPEC,
                        "onnx": NO_SPEC, "timm": NO_SPEC, "tv": NO_SPEC, "nothing": UNKNOWN, "folder": NO_RUN},
    "scale":           {"begun": YES, "finished": YES, "child": YES, "spec": YES,
                        "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY, "live": GIVE_SPEC, "bare": NO_SPEC,
                        "onnx": NO_SPEC, "timm": NO_SPEC, "tv": NO_SPEC, "nothing": UNKNOWN, "folder": NO_RUN},
    "estimate":        {"begun": NO_CLOCK, "finished": NO_CLOCK, "child": NO_CLOCK, "spec": NO_CLOCK,
                        "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY, "live": GIVE_SPEC, "bare": NO_SPEC,
                        "onnx": NO_SPEC, "timm": NO_SPEC, "tv": NO_SPEC, "nothing": UNKNOWN, "folder": NO_RUN},
    "train":           {"begun": YES, "finished": YES, "child": YES, "spec": YES,
                        "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY, "live": GIVE_SPEC, "bare": NO_SPEC,
                        "onnx": NO_SPEC, "timm": NO_SPEC, "tv": NO_SPEC, "nothing": UNKNOWN, "folder": NO_RUN},
    "design --base":   {"begun": YES, "finished": YES, "child": YES, "spec": YES,
                        "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY, "live": GIVE_SPEC, "bare": NO_SPEC,
                        "onnx": NO_SPEC, "timm": NO_SPEC, "tv": NO_SPEC, "nothing": UNKNOWN, "folder": NO_RUN},
    # what takes any network
    "measure":         {"begun": YES, "finished": YES, "child": YES, "spec": YES, "live": YES, "bare": YES, "onnx": YES,
                        "timm": YES, "tv": YES,
                        "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY, "nothing": UNKNOWN, "folder": NO_RUN},
    "diagnose":        {"finished": YES, "child": YES, "spec": YES, "live": YES, "bare": YES, "timm": YES, "tv": YES,
                        "begun": NO_WEIGHTS, "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY, "onnx": NO_MAPS,
                        "nothing": UNKNOWN, "folder": NO_RUN},
    "convert":         {"finished": YES, "child": YES, "spec": YES, "live": YES, "bare": YES, "timm": YES, "tv": YES,
                        "begun": NO_WEIGHTS, "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY, "onnx": NO_MODULES,
                        "nothing": UNKNOWN, "folder": NO_RUN},
    "export":          {"finished": YES, "child": YES, "spec": YES, "live": YES, "bare": YES, "timm": YES, "tv": YES,
                        "begun": NO_WEIGHTS, "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY, "onnx": NOT_BUILT,
                        "nothing": UNKNOWN, "folder": NO_RUN},
    # what takes a trained run
    "train --weights": {"finished": YES,
                        "begun": NO_WEIGHTS, "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY,
                        "child": "does not fit", "spec": "it cannot be read as plain weights",
                        "onnx": "model.onnx cannot be read as plain weights",
                        "nothing": "nothing-there does not exist", "folder": "plain holds no weights"},
    "evaluate":        {"finished": YES, "child": YES,
                        "begun": NO_WEIGHTS, "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY,
                        "spec": NO_RUN, "live": LIVE_RUN, "bare": LIVE_RUN, "onnx": NO_RUN, "timm": NO_RUN, "tv": NO_RUN,
                        "nothing": NO_RUN, "folder": NO_RUN},
    "pseudo-label":    {"finished": YES, "child": YES,
                        "begun": NO_WEIGHTS, "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY,
                        "spec": NO_RUN, "live": LIVE_RUN, "bare": LIVE_RUN, "onnx": NO_RUN, "timm": NO_RUN, "tv": NO_RUN,
                        "nothing": NO_RUN, "folder": NO_RUN},
    "export --int8":   {"finished": YES, "child": YES,
                        "begun": NO_WEIGHTS, "search begun": TO_MAKE, "search": CHILDREN, "study": STUDY,
                        "spec": NOT_A_RUN, "live": NOT_A_RUN, "bare": NOT_A_RUN, "onnx": NOT_A_RUN, "timm": NOT_A_RUN,
                        "tv": NOT_A_RUN, "nothing": UNKNOWN, "folder": NO_RUN},
    # what takes a search
    "export --child":  {"search": YES,
                        "search begun": "has not chosen its children yet: `convsmith resume search-begun` goes on with it",
                        "begun": NO_SEARCH, "finished": NO_SEARCH, "child": NO_SEARCH, "study": STUDY,
                        "spec": NO_RUN, "live": LIVE_RUN, "bare": LIVE_RUN, "onnx": NO_RUN, "timm": NO_RUN, "tv": NO_RUN,
                        "nothing": NO_RUN, "folder": NO_RUN},
    # what takes any folder that a verb has made
    "report":          {"begun": YES, "finished": YES, "search": YES, "child": YES,
                        "search begun": "has not chosen its children yet: `convsmith resume search-begun` goes on with it",
                        "study": STUDY,
                        "spec": NO_RUN, "live": LIVE_RUN, "bare": LIVE_RUN, "onnx": NO_RUN, "timm": NO_RUN, "tv": NO_RUN,
                        "nothing": NO_RUN, "folder": NO_RUN},
    "resume":          {"begun": YES, "finished": YES, "search begun": YES, "search": YES, "child": YES,
                        "study": STUDY,
                        "spec": NO_RUN, "live": LIVE_RUN, "bare": LIVE_RUN, "onnx": NO_RUN, "timm": NO_RUN, "tv": NO_RUN,
                        "nothing": NO_RUN, "folder": NO_RUN},
}
# fmt: on
# Left out: weights of timm and torchvision are downloaded, and a live network has no name to begin with.
BLANK = {("train --weights", kind) for kind in ("timm", "tv", "live", "bare")}
# Whole trainings and searches, which tests/test_old_folders.py ends with the same things and asks the same of.
ELSEWHERE = {("resume", kind) for kind in ("begun", "search begun")}
CELLS = [(verb, kind) for verb, row in TABLE.items() for kind in row if (verb, kind) not in ELSEWHERE]


def test_the_table_is_whole(record_property: Callable[[str, object], None]) -> None:
    assert set(TABLE) == set(RIGHT)
    assert {(verb, kind) for verb in TABLE for kind in THINGS} - set(CELLS) == BLANK | ELSEWHERE
    assert all(TABLE[verb][kind] is YES for verb, kind in ELSEWHERE)
    right = sum(said is YES for row in TABLE.values() for said in row.values())
    print(f"\n{len(CELLS)} cells: {right} right answers, {len(CELLS) - right} refusals")


@pytest.mark.parametrize(
    ("verb", "cell"), CELLS, indirect=["cell"], ids=[f"{verb} {kind}".replace(" ", "_") for verb, kind in CELLS]
)
def test_a_verb_does_the_right_thing_or_says_in_a_line_what_would_do(verb: str, cell: Cell) -> None:
    said = TABLE[verb][cell.kind]
    if said is YES:
        RIGHT[verb](cell)
        return
    refused(verb, cell, said)
