"""What verbs do with folders that one folder alone cannot show: other weights, children without any, several side by side."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import convsmith as cs
from convsmith.cli import main
from convsmith.errors import UserError
from convsmith.runs import Kind, RunFolder, kind_of
from kinds import FOLDERS, TINY, Cell, answers, network_of


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def copied(place: Path, name: str) -> RunFolder:
    shutil.copytree(FOLDERS / name, place / name)
    return RunFolder.open(place / name)


@pytest.mark.parametrize("digest", [None, "0" * 16], ids=["no digest", "another's digest"])
def test_an_export_of_other_weights_is_made_again_by_resume(place: Path, digest: str | None) -> None:
    """As a version that exported runs before they were trained left them: random weights in a file that counts as done."""
    run = copied(place, "trained")
    model = cs.build(run.spec, seed=7)
    cs.export(model, run.file("model.onnx"))
    record = run.read("export.json")
    run.write("export.json", record if digest is None else record | {"weights": digest})
    if digest is None:
        os.utime(run.file("export.json"), (0, 0))
    cs.resume(run)
    images = torch.randn(4, 3, 12, 12)
    cell = Cell("finished", "trained", place, None)  # type: ignore[arg-type]
    with torch.no_grad():
        np.testing.assert_allclose(
            answers(run.file("model.onnx"), images), network_of(cell)(images), rtol=1e-3, atol=1e-4
        )
    made = run.file("model.onnx").stat().st_mtime_ns
    cs.resume(run)
    assert run.file("model.onnx").stat().st_mtime_ns == made, "now it is of these weights"


def test_a_child_that_has_no_weights_is_sent_to_its_search(place: Path) -> None:
    """By itself it would be trained to other weights."""
    search = copied(place, "search")
    child = RunFolder.open(search.file("children") / "200k-macs")
    child.file("model.safetensors").unlink()
    for verb in (cs.resume, cs.export, cs.evaluate):
        with pytest.raises(UserError, match=f"cut out of the search's, and `convsmith resume {search.path}`"):
            verb(child)
    assert not child.has("last.pt")
    child.file("scores.json").unlink()
    with pytest.raises(UserError, match=f"has not finished {child.path}: `convsmith resume {search.path}`"):
        cs.report(search)


def test_side_by_side_stand_networks(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun, search, finished = (copied(place, name) for name in ("begun", "search", "trained"))
    page = search.file("report.html").read_bytes()
    assert main(["report", "trained", "search"]) == 2
    assert "search is a search, which has a page of its own" in capsys.readouterr().err
    assert search.file("report.html").read_bytes() == page and not (place / "comparison.html").exists()
    both = cs.report([finished, begun]).read_text()
    assert (place / "comparison.html").read_text() == both and "trained" in both and "begun" in both
    assert cs.report([finished, search.file("children") / "200k-macs"]) == place / "comparison.html"


def test_one_alone_need_not_be_in_a_list(place: Path) -> None:
    run = copied(place, "trained")
    assert cs.report(str(run.path)) == run.file("report.html")
    assert cs.measure(TINY, rounds=1, runtime="eager").rows[0].name == "tiny"


@pytest.mark.parametrize(
    "verb", [lambda net: cs.measure([net]), cs.export, cs.diagnose, lambda net: cs.convert(net, "group")]
)
def test_a_network_that_takes_no_such_images_is_refused_in_words(verb: Callable[[nn.Module], Any], place: Path) -> None:
    grey = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(UserError, match="Sequential does not take images of 3x224x224: "):
        verb(grey)
    assert grey.training and not list(place.iterdir())


def test_a_folder_is_what_made_it(place: Path) -> None:
    kinds = {
        "trained": Kind.TRAINING, "begun": Kind.TRAINING, "pseudo": Kind.TRAINING, "search": Kind.SEARCH,
        "search-begun": Kind.SEARCH, "search-scoring": Kind.SEARCH, "search/children/400k-macs": Kind.CHILD,
        "fit-scaling": Kind.SCALING, "fit-scaling-tiny": Kind.SCALING, "ladder": Kind.LADDER,
        "ladder-factors": Kind.LADDER, "json": None, "search/children": None, "no such": None, "tiny.json": None,
    }  # fmt: skip
    assert {name: kind_of(FOLDERS / name) for name in kinds} == kinds
    for name in ("ladder", "fit-scaling"):  # as one that was stopped before its end
        shutil.copytree(FOLDERS / name, place / name)
        (place / name / "study.json").unlink()
        assert kind_of(place / name) is kinds[name]
        with pytest.raises(UserError, match="goes on when the command that began it is given again"):
            cs.resume(place / name)


def test_a_system_that_does_not_say_how_much_memory_was_held_can_rehearse(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Windows has no `resource`."""
    monkeypatch.setitem(sys.modules, "resource", None)
    words = ["train", str(FOLDERS / "tiny.json"), "digits", "--dry-run"]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["memory_gib"] is None
    assert main(words) == 0
    assert "memory unknown on this system" in capsys.readouterr().out.replace("\n", " ")
