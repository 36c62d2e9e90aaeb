"""`create` of a run is the network that it was trained to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import convsmith as cs
from convsmith.errors import UserError
from convsmith.runs import RunFolder
from convsmith.weights import write

SPEC = cs.spec("tinynet_e", classes=3, resolution=32)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path, "mine")
    made.write("config.json", {"verb": "train"})
    made.write_spec(SPEC)
    return made


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(own, theirs[name]) for name, own in a.state_dict().items())


def test_a_run_is_created_with_its_own_weights_however_it_is_named(run: RunFolder) -> None:
    trained = cs.build(SPEC, seed=7)
    write(run.file("model.safetensors"), trained.state_dict())
    for named in (str(run.path), run.path, run, cs.Run.open(run.path)):
        assert same(cs.create(named), trained)
    assert same(cs.create(SPEC, weights=run), trained)
    assert same(cs.create(run, weights=False, seed=1), cs.build(SPEC, seed=1))
    other = cs.create(run, classes=5)
    assert other.num_classes == 5 and same(other.stem, trained.stem)


def test_an_untrained_run_says_that_it_has_none(run: RunFolder) -> None:
    with pytest.raises(
        UserError, match=r"has no weights yet .*convsmith resume.*; weights=False makes it of random weights"
    ):
        cs.create(run)
    assert same(cs.create(run, weights=False, seed=1), cs.build(SPEC, seed=1))


def test_a_search_is_no_one_network(run: RunFolder) -> None:
    run.write("config.json", {"verb": "search"})
    with pytest.raises(UserError, match="is a search and not one network"):
        cs.create(run)
